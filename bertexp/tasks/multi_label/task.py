"""Multi-label classification: any number of classes for a text, each judged by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.special import expit

from bertexp.data.table import TextDataset
from bertexp.interfaces import Report
from bertexp.tasks.base import TextTask
from bertexp.tasks.classification.metrics import check_measured
from bertexp.tasks.multi_label.metrics import MultiLabelMetrics
from bertexp.tasks.multi_label.spec import MultiLabelConfig, MultiLabelSpec


def build(settings: MultiLabelConfig, dataset: TextDataset) -> MultiLabel:
    """The task with what the data have to say."""
    return MultiLabel(dataset.label_names, settings.threshold, settings.main_metric)


class MultiLabel(TextTask):
    """A set of ``label_names`` per text: one logit a class, its log-odds.

    Args:
        label_names: the classes.
        threshold: probability from which on a class is given.
        main_metric: chooses the checkpoint.
    """

    spec = MultiLabelSpec()
    batch_metric = "exact_match"

    def __init__(self, label_names: Sequence[str], threshold: float = 0.5, main_metric: str = "f1"):
        self.label_names, self.threshold, self.main_metric = tuple(label_names), threshold, main_metric
        self.units = len(self.label_names)
        check_measured(main_metric, self.units)
        self.settings = MultiLabelConfig(main_metric=main_metric, threshold=threshold)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Binary cross-entropy in nats, the mean over classes, <float32>[batch]; labels, logits <float32>[batch, classes]."""
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=1)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where exactly the right classes are given."""
        given = tf.sigmoid(logits) >= self.threshold
        return tf.cast(tf.reduce_all(given == (labels > 0), axis=1), tf.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits of the same shape."""
        return expit(logits)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The probabilities <float32>[rows, classes]."""
        return self.probabilities(logits)

    def make_metrics(self) -> MultiLabelMetrics:
        """Of one pass over a split."""
        return MultiLabelMetrics(self)

    def make_report(self) -> Report:
        """Of its predictions, with pictures."""
        from bertexp.tasks.multi_label.report import MultiLabelReport  # here: matplotlib is needed first after a fit

        return MultiLabelReport(self)
