"""Regression: a number for a text or a pair of texts."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bertexp.tasks.base import TextTask
from bertexp.tasks.regression.spec import RegressionSpec


class Regression(TextTask):
    """One number a text; the logit is the number itself."""

    label_names: tuple[str, ...] = ()
    units = 1
    spec = RegressionSpec()
    batch_metric = "mae"

    def __init__(self, main_metric: str = "pearson"):
        self.main_metric = main_metric

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Squared error <float32>[batch] of labels <float32>[batch] and logits <float32>[batch, 1]."""
        return tf.square(logits[:, 0] - labels)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Absolute error <float32>[batch]."""
        return tf.abs(logits[:, 0] - labels)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The numbers <float32>[rows, 1]."""
        return logits

    def metrics(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """Errors and correlations of logits <float32>[rows, 1] with numbers <float32>[rows].

        A correlation is 0 where it is not defined: one side never changes.
        """
        from scipy import stats  # here, since a run needs it first after an epoch

        predicted, wanted = logits[:, 0].astype(np.float64), truth.astype(np.float64)
        error = predicted - wanted
        varies = len(wanted) > 1 and np.ptp(predicted) > 0 and np.ptp(wanted) > 0
        return {
            "loss": float(np.mean(error**2)),
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "pearson": float(stats.pearsonr(predicted, wanted)[0]) if varies else 0.0,
            "spearman": float(stats.spearmanr(predicted, wanted)[0]) if varies else 0.0,
        }
