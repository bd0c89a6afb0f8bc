"""Answers that are parts of a text (Rajpurkar et al. 2016): loss, span choice, metrics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from bertexp.data.table import TextDataset
from bertexp.interfaces import Report
from bertexp.tasks.question_answering.answers import Candidates, best_spans, choose_answers, cut_bytes
from bertexp.tasks.question_answering.metrics import QuestionAnsweringMetrics
from bertexp.tasks.question_answering.spec import QuestionAnsweringConfig, QuestionAnsweringSpec


class Answers(NamedTuple):
    """What a model answers to n questions."""

    rows: np.ndarray  # <int64>[n], ascending
    texts: list[str]  # parts of the contexts; "" for no answer
    starts: np.ndarray  # <int64>[n], in bytes of the context
    ends: np.ndarray
    scores: np.ndarray  # <float32>[n], probability of start and end in the window that shows the answer


def build(settings: QuestionAnsweringConfig, dataset: TextDataset) -> QuestionAnswering:
    """The task with what the data have to say: whether questions to train on may have no answer, as in SQuAD v2.0."""
    null_answers = pc.any(pc.equal(pc.list_value_length(dataset.splits["train"]["label"]), 0)).as_py()
    return QuestionAnswering(settings.max_answer_length, null_answers, settings.main_metric)


class QuestionAnswering:
    """Where in a context the answer to a question begins and ends; one logit each at every position.

    A long context is cut into windows; one that does not hold the answer points at [CLS]. The answer to a question is
    the likeliest span of all its windows.

    Args:
        max_answer_length: in word pieces.
        null_answers: whether there may be no answer, as in SQuAD v2.0: that is the answer where [CLS] is likelier than
            any span, in every window.
    """

    label_names: tuple[str, ...] = ()
    units = 2
    spec = QuestionAnsweringSpec()
    first_bias = 0.0
    batch_metric = "span_accuracy"

    def __init__(self, max_answer_length: int = 30, null_answers: bool = False, main_metric: str = "f1"):
        self.max_answer_length, self.null_answers, self.main_metric = max_answer_length, null_answers, main_metric
        self.settings = QuestionAnsweringConfig(main_metric=main_metric, max_answer_length=max_answer_length)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Mean of the cross-entropies of start and end, in nats, over the real positions: <float32>[batch].

        Args:
            labels: <int32>[batch, 3], start, end and length of each window.
            logits: <float32>[batch, seq, 2].
        """
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[:, :2], _by_position(labels, logits))
        return tf.reduce_mean(losses, axis=1)

    def weights(self, labels: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 for each window."""
        return tf.ones_like(labels[:, 0], tf.float32)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where the likeliest start and the likeliest end are both right."""
        predicted = tf.argmax(_by_position(labels, logits), axis=2, output_type=tf.int32)
        return tf.cast(tf.reduce_all(predicted == labels[:, :2], axis=1), tf.float32)

    def make_metrics(self) -> QuestionAnsweringMetrics:
        """Of one pass over a split."""
        return QuestionAnsweringMetrics(self)

    def make_report(self) -> Report:
        """Of its predictions, with pictures."""
        from bertexp.tasks.question_answering.report import (
            QuestionAnsweringReport,  # here: matplotlib is needed first after a fit
        )

        return QuestionAnsweringReport(self)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The scores <float32>[questions] of the answers."""
        return self.choose(truth, logits).scores

    def find(self, truth: np.ndarray, logits: np.ndarray) -> Candidates:
        """The likeliest span of every window.

        Args:
            truth: <object>[windows] of ``WindowTruth``.
            logits: <float32>[windows, seq, 2].
        """
        firsts = np.array([window.first for window in truth])
        counts = np.array([len(window.begins) for window in truth])
        spans = best_spans(logits, firsts, counts, self.max_answer_length)
        seen = np.flatnonzero(np.isfinite(spans.scores))  # the others show nothing of their context
        begins, starts, ends = np.zeros((3, len(truth)), np.int64)
        for window in seen:
            begins[window] = truth[window].begins[0]
            starts[window] = truth[window].begins[spans.starts[window] - firsts[window]]
            ends[window] = truth[window].ends[spans.ends[window] - firsts[window]]
        rows = np.array([window.row for window in truth], np.int64)
        return Candidates(rows, begins, starts, ends, spans.scores, spans.null_scores)

    def choose(self, truth: np.ndarray, logits: np.ndarray) -> Answers:
        """The answer to every question, of which all windows must be there; arguments as of ``find``."""
        candidates = self.find(truth, logits)
        windows, given, chances = choose_answers(candidates, self.null_answers)
        starts, ends = candidates.starts[windows] * given, candidates.ends[windows] * given
        contexts = [truth[window].context for window in windows]
        texts = list(map(cut_bytes, contexts, starts.tolist(), ends.tolist()))
        return Answers(candidates.rows[windows], texts, starts, ends, chances)


def _by_position(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """<float32>[batch, 2, seq], with the padding out of reach."""
    mask = tf.sequence_mask(labels[:, 2], tf.shape(logits)[1])
    return tf.where(mask[:, tf.newaxis], tf.transpose(logits, [0, 2, 1]), logits.dtype.min)
