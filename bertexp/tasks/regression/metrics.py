"""Errors and correlations of predicted numbers, of which one batch at a time is seen."""

from __future__ import annotations

import numpy as np


class RegressionMetrics:
    """Of logits <float32>[batch, 1] and the wanted numbers <float32>[batch].

    Both are kept, since Spearman's correlation is one of ranks. A correlation is 0 if it is not defined: one side never
    changes.
    """

    left_out = ""

    def __init__(self) -> None:
        self._predicted: list[np.ndarray] = []
        self._wanted: list[np.ndarray] = []

    @property
    def predicted(self) -> np.ndarray:
        """<float64>[rows]."""
        return np.concatenate(self._predicted).astype(np.float64)

    @property
    def wanted(self) -> np.ndarray:
        """<float64>[rows]."""
        return np.concatenate(self._wanted).astype(np.float64)

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Keeps a batch."""
        self._predicted.append(logits[:, 0].copy())
        self._wanted.append(truth)

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one row must have been seen."""
        from scipy import stats  # here, since a run needs it first after an epoch

        predicted, wanted = self.predicted, self.wanted
        error = predicted - wanted
        varies = len(wanted) > 1 and np.ptp(predicted) > 0 and np.ptp(wanted) > 0
        return {
            "loss": float(np.mean(error**2)),
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "pearson": float(stats.pearsonr(predicted, wanted)[0]) if varies else 0.0,
            "spearman": float(stats.spearmanr(predicted, wanted)[0]) if varies else 0.0,
        }
