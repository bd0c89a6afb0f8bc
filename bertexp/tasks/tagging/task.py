"""A tag for each word: loss, metrics and decoding of named entities, parts of speech and the like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.special import softmax

from bertexp.data.formats.tags import OUTSIDE
from bertexp.data.table import TextDataset
from bertexp.interfaces import Report
from bertexp.tasks.tagging.metrics import TaggingMetrics
from bertexp.tasks.tagging.spec import TaggingConfig, TaggingSpec

Tags = list[list[str]]  # of each sentence


def build(settings: TaggingConfig, dataset: TextDataset) -> Tagging:
    """The task with what the data have to say."""
    return Tagging(dataset.label_names, settings.main_metric)


class Tagging:
    """One tag out of ``label_names`` for each word, read at the word's first piece.

    Labels are <int32>[batch, seq], truths <int32>[rows, positions]: the tag of a word where it has one, -1 where no word is
    judged (special tokens, padding, a word's other pieces), -2 for a word whose tag is unknown. In truths the words that
    were cut follow after the last position that has logits: they count as tagged O.
    """

    spec = TaggingSpec()
    first_bias = 0.0
    batch_metric = "accuracy"

    def __init__(self, label_names: Sequence[str], main_metric: str = "f1"):
        self.label_names = tuple(label_names)
        self.units = len(self.label_names)
        self.main_metric, self.settings = main_metric, TaggingConfig(main_metric=main_metric)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats, summed over each row's labelled pieces, <float32>[batch]."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
        return tf.reduce_sum(tf.where(labels >= 0, losses, 0.0), axis=1)

    def weights(self, labels: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], labelled pieces of each row."""
        return tf.reduce_sum(tf.cast(labels >= 0, tf.float32), axis=1)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], words of each row that got their tag."""
        hits = tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels
        return tf.reduce_sum(tf.cast(hits, tf.float32), axis=1)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Probabilities <float32>[rows, words of the longest sentence, tags]; 0 of words that were cut, and of padding."""
        rows, positions = np.nonzero(truth != -1)
        counts = np.bincount(rows, minlength=len(truth))
        words = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        probabilities = np.zeros((len(truth), counts.max(initial=0), self.units), np.float32)
        read = positions < logits.shape[1]
        probabilities[rows[read], words[read]] = softmax(logits[rows[read], positions[read]], axis=-1)
        return probabilities

    def decode(self, truth: np.ndarray, logits: np.ndarray) -> tuple[Tags, Tags]:
        """The true and the predicted tags of each sentence's words; "" for an unknown one, O for words that were cut.

        Args:
            truth: <int32>[rows, positions].
            logits: <float32>[rows, seq, units].
        """
        predicted = np.full(truth.shape, self.units, np.int64)
        seen = min(truth.shape[1], logits.shape[1])
        predicted[:, :seen] = logits[:, :seen].argmax(axis=-1)
        rows, positions = np.nonzero(truth != -1)
        bounds = np.cumsum(np.bincount(rows, minlength=len(truth)))[:-1]
        names = np.array([*self.label_names, OUTSIDE, ""], dtype=object)  # truths of -2 and what was cut come last
        true = np.where(truth == -2, self.units + 1, truth)[rows, positions]
        return tuple(
            [sentence.tolist() for sentence in np.split(names[tags], bounds)]
            for tags in (true, predicted[rows, positions])
        )

    def make_metrics(self) -> TaggingMetrics:
        """Of one pass over a split."""
        return TaggingMetrics(self)

    def make_report(self) -> Report:
        """Of its predictions, with pictures."""
        from bertexp.tasks.tagging.report import TaggingReport  # here: matplotlib is needed first after a fit

        return TaggingReport(self)
