"""Ordinal regression: loss, metrics, decoding."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy.special import expit, log_expit

from bertexp.tasks.base import BaseTask
from ordinal.spec import OrdinalConfig, OrdinalSpec


def build(settings, dataset):
    return Ordinal(dataset.label_names, settings)


class Ordinal(BaseTask):
    """Logit k is the log-odds that class k + 1 is reached, given class k is."""

    spec = OrdinalSpec()
    batch_metric = "mae"

    def __init__(self, label_names, settings: OrdinalConfig):
        super().__init__(settings, label_names)
        self.passed = settings.passed

    def loss(self, labels, logits):
        classes = tf.range(self.units)[tf.newaxis]
        wanted = tf.cast(labels[:, tf.newaxis] > classes, tf.float32)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits)
        return tf.reduce_sum(tf.where(labels[:, tf.newaxis] >= classes, losses, 0.0), axis=1)

    def score(self, labels, logits):
        passed = tf.cast(tf.sigmoid(logits) >= self.passed, tf.int32)
        return tf.cast(tf.abs(tf.reduce_sum(tf.math.cumprod(passed, axis=1), axis=1) - labels), tf.float32)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        return np.cumprod(expit(logits) >= self.passed, axis=1).sum(axis=1)

    def serve(self, logits):
        """label <string>[N], rank <float32>[N] (expected index), probabilities <float32>[N, classes]."""
        reached = tf.sigmoid(logits)
        bounds = tf.pad(tf.math.cumprod(reached, axis=1), [[0, 0], [1, 0]], constant_values=1.0)
        probabilities = bounds - tf.pad(bounds[:, 1:], [[0, 0], [0, 1]])
        index = tf.reduce_sum(tf.math.cumprod(tf.cast(reached >= self.passed, tf.int32), axis=1), axis=1)
        return {
            "label": tf.gather(tf.constant(self.label_names), index),
            "rank": tf.reduce_sum(bounds[:, 1:], axis=1),
            "probabilities": probabilities,
        }

    def probabilities(self, logits):
        bounds = np.pad(np.cumprod(expit(logits), axis=1), [(0, 0), (1, 0)], constant_values=1.0)
        return bounds - np.pad(bounds[:, 1:], [(0, 0), (0, 1)])

    def make_metrics(self):
        return OrdinalMetrics(self)

    def make_report(self):
        from ordinal.report import OrdinalReport

        return OrdinalReport(self)


class OrdinalMetrics:
    """Sums over the rows seen so far."""

    left_out = ""

    def __init__(self, task: Ordinal):
        self._task, self.rows, self.errors, self.hits, self._loss = task, 0, 0, 0, 0.0

    def update(self, truth, logits):
        errors = np.abs(self._task.decide(logits) - truth)
        reached = truth[:, None] - np.arange(logits.shape[1])  # > 0: yes, 0: no, < 0: was not asked
        losses = np.where(reached > 0, -log_expit(logits), np.where(reached == 0, -log_expit(-logits), 0.0))
        self.rows += len(truth)
        self.errors += int(errors.sum())
        self.hits += int((errors == 0).sum())
        self._loss += float(losses.sum(dtype=np.float64))

    def result(self):
        sums = {"mae": self.errors, "accuracy": self.hits, "loss": self._loss}
        return {name: total / self.rows for name, total in sums.items()}
