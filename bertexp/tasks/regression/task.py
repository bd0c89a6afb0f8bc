"""Regression: a number for a text or a pair of texts."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from bertexp.data.table import TextDataset
from bertexp.interfaces import Report
from bertexp.tasks.base import TextTask
from bertexp.tasks.regression.metrics import RegressionMetrics
from bertexp.tasks.regression.spec import RegressionConfig, RegressionSpec


def build(settings: RegressionConfig, dataset: TextDataset) -> Regression:
    """The task with what the data have to say.

    Numbers begin at their mean: a bias learns in steps of the learning rate, and would take thousands to get there.
    """
    return Regression(settings.main_metric, pc.mean(dataset.splits["train"]["label"]).as_py())


class Regression(TextTask):
    """One number a text; the logit is the number itself."""

    label_names: tuple[str, ...] = ()
    units = 1
    spec = RegressionSpec()
    batch_metric = "mae"

    def __init__(self, main_metric: str = "pearson", first_bias: float = 0.0):
        self.main_metric, self.settings = main_metric, RegressionConfig(main_metric=main_metric)
        self.first_bias = first_bias

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Squared error <float32>[batch] of labels <float32>[batch] and logits <float32>[batch, 1]."""
        return tf.square(logits[:, 0] - labels)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Absolute error <float32>[batch]."""
        return tf.abs(logits[:, 0] - labels)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The numbers <float32>[rows, 1]."""
        return logits

    def make_metrics(self) -> RegressionMetrics:
        """Of one pass over a split."""
        return RegressionMetrics()

    def make_report(self) -> Report:
        """Of its predictions, with pictures."""
        from bertexp.tasks.regression.report import RegressionReport  # here: matplotlib is needed first after a fit

        return RegressionReport(self)
