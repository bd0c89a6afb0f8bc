"""Regression (a number for a text or a pair of texts): loss, answer, metrics, report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from bertexp.data.table import TextDataset
from bertexp.reports.intervals import Interval, correlation_interval, error_interval
from bertexp.reports.predictions import read_slices
from bertexp.reports.statistics import quote
from bertexp.tasks.base import BaseTask, PredictionsReport
from bertexp.tasks.regression.spec import RegressionConfig, RegressionSpec


def build(settings: RegressionConfig, dataset: TextDataset) -> Regression:
    """The task with what the data have to say.

    Numbers begin at their mean: a bias learns in steps of the learning rate, and would take thousands to get there.
    """
    return Regression(settings.main_metric, pc.mean(dataset.splits["train"]["label"]).as_py())


class Regression(BaseTask):
    """One number a text; the logit is the number itself."""

    spec = RegressionSpec()
    batch_metric = "mae"

    def __init__(self, main_metric: str | None = None, first_bias: float = 0.0):
        super().__init__(RegressionConfig(main_metric=main_metric))
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

    def serve(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """score <float32>[rows]."""
        return {"score": logits[:, 0]}

    def make_metrics(self) -> RegressionMetrics:
        """Of one pass over a split."""
        return RegressionMetrics()

    def make_report(self) -> RegressionReport:
        """Of its predictions, with pictures."""
        return RegressionReport(self)


class RegressionMetrics:
    """Errors and correlations of logits <float32>[batch, 1] and the wanted numbers <float32>[batch].

    Both are kept, since Spearman's correlation is one of ranks. A correlation is 0 if it is not defined: one side never
    changes.
    """

    left_out = ""

    def __init__(self) -> None:
        self._batches: list[np.ndarray] = []

    @property
    def pairs(self) -> np.ndarray:
        """The predicted and the wanted numbers <float64>[2, rows]."""
        return np.concatenate(self._batches, axis=1, dtype=np.float64)

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Keeps a batch."""
        self._batches.append(np.stack([logits[:, 0], truth]))

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one row must have been seen."""
        from scipy import stats  # here, since a run needs it first after an epoch

        predicted, wanted = self.pairs
        error = predicted - wanted
        varies = len(wanted) > 1 and np.ptp(predicted) > 0 and np.ptp(wanted) > 0
        return {
            "loss": float(np.mean(error**2)),
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "pearson": float(stats.pearsonr(predicted, wanted)[0]) if varies else 0.0,
            "spearman": float(stats.spearmanr(predicted, wanted)[0]) if varies else 0.0,
        }


class RegressionReport(PredictionsReport):
    """Predicted numbers against the wanted ones."""

    no_interval = "it is undefined, for the predicted or the wanted numbers are all the same"

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        return {"predicted": pa.array(logits[:, 0])}

    def spell_labels(self, rows: pa.Table) -> pa.Array:
        """The numbers themselves."""
        labels = rows["label"].to_numpy()
        return pa.array(labels, pa.float32(), mask=np.isnan(labels))

    def intervals(self, metrics: RegressionMetrics) -> dict[str, Interval | None]:
        from scipy.stats import rankdata  # here, since a run needs it first after its training

        pairs = metrics.pairs
        low, high = error_interval(*pairs, power=2)
        return {
            "spearman": correlation_interval(*map(rankdata, pairs)),
            "pearson": correlation_interval(*pairs),
            "mae": error_interval(*pairs, power=1),
            "rmse": (low**0.5, high**0.5),
        }

    def find_missed(self, path: Path) -> np.ndarray:
        """Those whose error is among the largest tenth."""
        slices = read_slices(path, ("label", "predicted"))
        pairs = [(rows["predicted"].to_numpy(), rows["label"].to_numpy(zero_copy_only=False)) for rows in slices]
        errors = np.concatenate([np.abs(predicted - wanted) for predicted, wanted in pairs])
        return errors > np.quantile(errors, 0.9)  # of unknown labels nothing is

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        wanted = "" if row["label"] is None else f" (true {row['label']:.3f})"
        start = f"{row['predicted']:8.3f}{wanted}  "
        return [start + quote(row["text"], 100 - len(start))]

    def draw(self, metrics: RegressionMetrics, path: Path, figures: Path) -> None:
        from bertexp.reports.pictures.figures import draw_scatter  # matplotlib is needed first after a fit

        predicted, wanted = metrics.pairs
        draw_scatter(wanted, predicted, figures / "predictions.png")
