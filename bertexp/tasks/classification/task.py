"""Classification of a text or a pair of texts: head size, loss, metrics, decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.special import expit, softmax

from bertexp.data.table import TextDataset
from bertexp.interfaces import Report
from bertexp.tasks.base import TextTask
from bertexp.tasks.classification.metrics import ClassificationMetrics, check_measured
from bertexp.tasks.classification.spec import ClassificationConfig, ClassificationSpec


def build(settings: ClassificationConfig, dataset: TextDataset) -> Classification:
    """The task with what the data have to say."""
    return Classification(dataset.label_names, settings.binary_head, settings.main_metric)


class Classification(TextTask):
    """One label out of ``label_names`` per text.

    Two classes with ``binary_head="sigmoid"`` take one logit, the log-odds of the second class; otherwise there is one
    logit per class.
    """

    spec = ClassificationSpec()
    batch_metric = "accuracy"

    def __init__(self, label_names: Sequence[str], binary_head: str = "sigmoid", main_metric: str = "accuracy"):
        self.label_names = tuple(label_names)
        self.one_logit = len(self.label_names) == 2 and binary_head == "sigmoid"
        self.units = 1 if self.one_logit else len(self.label_names)
        self.main_metric = main_metric
        check_measured(main_metric, len(self.label_names))
        self.settings = ClassificationConfig(main_metric=main_metric, binary_head=binary_head)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats, <float32>[batch], of labels <int32>[batch] under logits <float32>[batch, units]."""
        if self.one_logit:
            targets = tf.cast(labels, tf.float32)
            return tf.nn.sigmoid_cross_entropy_with_logits(targets, logits[:, 0])
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where the likeliest class is the label."""
        if self.one_logit:
            predicted = tf.cast(logits[:, 0] > 0, labels.dtype)
        else:
            predicted = tf.argmax(logits, axis=-1, output_type=labels.dtype)
        return tf.cast(predicted == labels, tf.float32)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The likeliest class <int64>[rows] under logits <float32>[rows, units]."""
        return (logits[:, 0] > 0).astype(np.int64) if self.one_logit else logits.argmax(axis=1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits <float32>[rows, units]."""
        return np.concatenate([expit(-logits), expit(logits)], axis=1) if self.one_logit else softmax(logits, axis=1)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The probabilities <float32>[rows, classes]."""
        return self.probabilities(logits)

    def make_metrics(self) -> ClassificationMetrics:
        """Of one pass over a split."""
        return ClassificationMetrics(self)

    def make_report(self) -> Report:
        """Of its predictions, with pictures."""
        from bertexp.tasks.classification.report import (
            ClassificationReport,  # here: matplotlib is needed first after a fit
        )

        return ClassificationReport(self)
