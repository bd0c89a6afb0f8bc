"""Answers that are parts of a text (Rajpurkar et al. 2016): loss, span choice, metrics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bertexp.tasks.question_answering.answers import best_spans, best_windows, exact_match, f1_score, log_softmax
from bertexp.tasks.question_answering.spec import QuestionAnsweringSpec


class Answers(NamedTuple):
    """What a model answers to n questions."""

    rows: np.ndarray  # <int64>[n], ascending
    texts: list[str]  # parts of the contexts; "" for no answer
    starts: np.ndarray  # <int64>[n], in bytes of the context
    ends: np.ndarray
    scores: np.ndarray  # <float32>[n], probability of start and end in the window that shows the answer


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
    batch_metric = "span_accuracy"

    def __init__(self, max_answer_length: int = 30, null_answers: bool = False, main_metric: str = "f1"):
        self.max_answer_length, self.null_answers, self.main_metric = max_answer_length, null_answers, main_metric

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
        found = tf.argmax(_by_position(labels, logits), axis=2, output_type=tf.int32)
        return tf.cast(tf.reduce_all(found == labels[:, :2], axis=1), tf.float32)

    def metrics(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """Loss over the windows, and F1 and exact match over their questions, as SQuAD's official evaluation has them.

        Args:
            truth: <object>[windows] of ``WindowTruth``.
            logits: <float32>[windows, seq, 2].
        """
        likely = log_softmax(logits, np.array([window.first + len(window.begins) + 1 for window in truth]))
        labels = np.array([(window.start, window.end) for window in truth])
        found = np.take_along_axis(likely, labels[:, None, :], axis=1)
        f1, exact = self.judge(truth, self.choose(truth, logits))
        return {
            "f1": float(f1.mean()),
            "exact_match": float(exact.mean()),
            "loss": float(-np.mean(found, dtype=np.float64)),
        }

    def judge(self, truth: np.ndarray, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
        """F1 and exact match <float64>[n] of each of the answers."""
        gold = {window.row: window.answers for window in truth}
        pairs = [(text, gold[row]) for row, text in zip(answers.rows.tolist(), answers.texts, strict=True)]
        return np.array([f1_score(*pair) for pair in pairs]), np.array([exact_match(*pair) for pair in pairs])

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The scores <float32>[questions] of the answers."""
        return self.choose(truth, logits).scores

    def choose(self, truth: np.ndarray, logits: np.ndarray) -> Answers:
        """The answer to every question of which there are windows; arguments as of ``metrics``."""
        firsts = np.array([window.first for window in truth])
        counts = np.array([len(window.begins) for window in truth])
        spans = best_spans(logits, firsts, counts, self.max_answer_length)
        rows = np.array([window.row for window in truth])
        chosen = best_windows(rows, spans.scores)
        scores = spans.scores[chosen]
        null = spans.null_scores[best_windows(rows, -spans.null_scores)]  # "not here", said by every window
        given = np.isfinite(scores) & ~(self.null_answers & (null > scores))
        places = np.zeros([len(chosen), 2], np.int64)
        for row in np.flatnonzero(given):
            window, place = truth[chosen[row]], chosen[row]
            places[row] = (
                window.begins[spans.starts[place] - window.first],
                window.ends[spans.ends[place] - window.first],
            )
        texts = [
            truth[place].context.encode()[begin:end].decode()
            for place, (begin, end) in zip(chosen, places, strict=True)
        ]
        scores = np.where(given | (not self.null_answers), scores, null)
        return Answers(rows[chosen], texts, places[:, 0], places[:, 1], np.exp(scores))


def _by_position(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """<float32>[batch, 2, seq], with the padding out of reach."""
    mask = tf.sequence_mask(labels[:, 2], tf.shape(logits)[1])
    return tf.where(mask[:, tf.newaxis], tf.transpose(logits, [0, 2, 1]), logits.dtype.min)
