"""Answers that are parts of a text (Rajpurkar et al. 2016): loss, choice of a span, metrics, report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from bertexp.data.table import TextDataset
from bertexp.reports.intervals import Interval, ratio_interval, share_interval
from bertexp.reports.predictions import ROW, read_slices
from bertexp.reports.statistics import quote
from bertexp.tasks.base import BaseTask, PredictionsReport, draw_counted_bars, sample_line
from bertexp.tasks.question_answering.answers import JUDGES, Candidates, best_spans, choose_answers, cut_bytes
from bertexp.tasks.question_answering.signature import make_signatures
from bertexp.tasks.question_answering.spec import QuestionAnsweringConfig, QuestionAnsweringSpec

QUESTION_WORDS = ("what", "which", "who", "whose", "whom", "when", "where", "why", "how")
_WIDTH = 120


def build(settings: QuestionAnsweringConfig, dataset: TextDataset) -> QuestionAnswering:
    """The task with what the data have to say: whether questions to train on may have no answer, as in SQuAD v2.0."""
    null_answers = pc.any(pc.equal(pc.list_value_length(dataset.splits["train"]["label"]), 0)).as_py()
    return QuestionAnswering(settings.max_answer_length, null_answers, settings.main_metric)


class QuestionAnswering(BaseTask):
    """Where in a context the answer to a question begins and ends; one logit each at every position.

    A long context is cut into windows; one that does not hold the answer points at [CLS]. The answer to a question is
    the likeliest span of all its windows.

    Args:
        max_answer_length: in word pieces.
        null_answers: whether there may be no answer, as in SQuAD v2.0: that is the answer where [CLS] is likelier than
            any span, in every window.
    """

    spec = QuestionAnsweringSpec()
    batch_metric = "span_accuracy"
    make_signatures = staticmethod(make_signatures)

    def __init__(self, max_answer_length: int = 30, null_answers: bool = False, main_metric: str | None = None):
        super().__init__(QuestionAnsweringConfig(main_metric=main_metric, max_answer_length=max_answer_length))
        self.max_answer_length, self.null_answers = max_answer_length, null_answers

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Mean of the cross-entropies of start and end, in nats, over the real positions: <float32>[batch].

        Args:
            labels: <int32>[batch, 3], start, end and length of each window.
            logits: <float32>[batch, seq, 2].
        """
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[:, :2], _by_position(labels, logits))
        return tf.reduce_mean(losses, axis=1)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where the likeliest start and the likeliest end are both right."""
        predicted = tf.argmax(_by_position(labels, logits), axis=2, output_type=tf.int32)
        return tf.cast(tf.reduce_all(predicted == labels[:, :2], axis=1), tf.float32)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The scores <float32>[questions] of the answers; arguments as of ``find``, with all windows of a question."""
        return choose_answers(self.find(truth, logits), self.null_answers).chances

    def find(self, truth: np.ndarray, logits: np.ndarray) -> Candidates:
        """The likeliest span of every window.

        Args:
            truth: <object>[windows] of ``WindowTruth``.
            logits: <float32>[windows, seq, 2].
        """
        rows = np.array([window.row for window in truth], np.int64)
        firsts = np.array([window.first for window in truth])
        counts = np.array([len(window.begins) for window in truth])
        starts, ends, scores, null_scores = best_spans(logits, firsts, counts, self.max_answer_length)
        bounds = np.zeros((3, len(truth)), np.int64)
        for index in np.flatnonzero(np.isfinite(scores)):  # the others show nothing of their context
            window, start, end = truth[index], starts[index] - firsts[index], ends[index] - firsts[index]
            bounds[:, index] = window.begins[0], window.begins[start], window.ends[end]
        return Candidates(rows, *bounds, scores, null_scores)

    def make_metrics(self) -> QuestionAnsweringMetrics:
        """Of one pass over a split."""
        return QuestionAnsweringMetrics(self)

    def make_report(self) -> QuestionAnsweringReport:
        """Of its predictions, with pictures."""
        return QuestionAnsweringReport(self)


def _by_position(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """<float32>[batch, 2, seq], with the padding out of reach."""
    mask = tf.sequence_mask(labels[:, 2], tf.shape(logits)[1])
    return tf.where(mask[:, tf.newaxis], tf.transpose(logits, [0, 2, 1]), logits.dtype.min)


class QuestionAnsweringMetrics:
    """Loss over the windows, and F1 and exact match over their questions, as SQuAD's official evaluation has them.

    Truths are <object>[batch] of ``WindowTruth``, logits <float32>[batch, seq, 2]. The windows of a question may lie in
    different batches, so what is kept is the best span of each window: where it stands, how likely it is and how good.
    """

    left_out = ""

    def __init__(self, task: QuestionAnswering):
        self._task = task
        self._loss = 0.0
        self._candidates: list[Candidates] = []
        self._judged: list[np.ndarray] = []  # <float64>[batch, 2, 2]: F1 and exact match of the span, and of no answer

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Finds and judges a batch's spans."""
        labels = np.array([(window.start, window.end, window.first + len(window.begins) + 1) for window in truth])
        self._loss += float(np.sum(self._task.loss(tf.constant(labels), tf.constant(logits)), dtype=np.float64))
        candidates = self._task.find(truth, logits)
        self._candidates.append(candidates)
        judged = []
        for window, start, end in zip(truth, candidates.starts.tolist(), candidates.ends.tolist(), strict=True):
            texts = (cut_bytes(window.context, start, end), "")
            judged.append([[judge(text, window.answers) for judge in JUDGES.values()] for text in texts])
        self._judged.append(np.array(judged))

    def by_question(self) -> np.ndarray:
        """F1 and exact match <float64>[questions, 2] of the answers, by ascending row."""
        candidates = Candidates(*map(np.concatenate, zip(*self._candidates, strict=True)))
        choice = choose_answers(candidates, self._task.null_answers)
        return np.concatenate(self._judged)[choice.windows, 1 - choice.given]

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one window must have been seen."""
        f1, exact = self.by_question().mean(axis=0)
        return {"f1": float(f1), "exact_match": float(exact), "loss": self._loss / sum(map(len, self._judged))}


class QuestionAnsweringReport(PredictionsReport):
    """Answers beside the gold ones, F1 by the word that asks."""

    judged_by = ("exact_match",)

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        candidates = self._task.find(truth, logits)._asdict()
        return {name: pa.array(values) for name, values in candidates.items() if name != "rows"}

    def finish(self, rows: pa.Table, predicted: pa.Table) -> dict[str, pa.Array]:
        """``start`` and ``end`` are in bytes of the context; "" stands for no answer."""
        candidates = Candidates(*(predicted[name].to_numpy() for name in (ROW, *Candidates._fields[1:])))
        choice = choose_answers(candidates, self._task.null_answers)
        texts = list(map(cut_bytes, rows["text_pair"].to_pylist(), choice.starts.tolist(), choice.ends.tolist()))
        labels = rows["label"].to_pylist()
        gold = [None if label is None else [answer["text"] for answer in label] for label in labels]
        columns = {
            "label": pa.array([None if all_ is None else (all_ or [""])[0] for all_ in gold], pa.string()),
            "predicted": pa.array(texts, pa.string()),
            "score": pa.array(choice.chances),
            "start": pa.array(choice.starts),
            "end": pa.array(choice.ends),
        }
        for name, judge in JUDGES.items():
            judged = [None if all_ is None else judge(text, all_) for text, all_ in zip(texts, gold, strict=True)]
            columns[name] = pa.array(judged, pa.float64())
        return columns

    def intervals(self, metrics: QuestionAnsweringMetrics) -> dict[str, Interval | None]:
        f1, exact = metrics.by_question().T
        return {
            "f1": ratio_interval(f1, np.ones(len(f1))),
            "exact_match": share_interval(exact.mean(), len(exact)),
        }

    def missed(self, rows: pa.RecordBatch) -> np.ndarray:
        """Those whose answer is none of the gold ones."""
        return pc.fill_null(pc.less(rows["exact_match"], 1), False).to_numpy(zero_copy_only=False)

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        gold, answer = (quote(row[name], 36) if row[name] else "no answer" for name in ("label", "predicted"))
        return [sample_line(row, missed, f"{answer} {row['score']:4.0%}", gold, _WIDTH)]

    def draw(self, metrics: QuestionAnsweringMetrics, path: Path, figures: Path) -> None:
        scores: dict[str, list[float]] = defaultdict(list)
        for rows in read_slices(path, ("text", "f1")):
            for question, f1 in zip(rows["text"].to_pylist(), rows["f1"].to_pylist(), strict=True):
                scores[_question_word(question)].append(f1)
        counts = {kind: len(scores[kind]) for kind in sorted(scores)}
        means = [float(np.mean(scores[kind])) for kind in counts]
        draw_counted_bars(counts, means, "F1 by question word (questions of it)", figures / "question_words.png")


def _question_word(question: str) -> str:
    """The first word that asks, ``how many`` and ``how much`` as one; ``other`` where none does."""
    words = question.lower().replace("?", " ").split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in QUESTION_WORDS:
            return f"{word} {following}" if (word, following) in (("how", "many"), ("how", "much")) else word
    return "other"
