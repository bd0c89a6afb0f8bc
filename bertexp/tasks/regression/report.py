"""The report on a number for each text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertexp.reports.intervals import Interval, correlation_interval, error_interval
from bertexp.reports.pictures.figures import draw_scatter
from bertexp.reports.predictions import read_slices
from bertexp.reports.statistics import quote
from bertexp.tasks.regression.metrics import RegressionMetrics
from bertexp.tasks.report import PredictionsReport

if TYPE_CHECKING:
    from bertexp.tasks.regression.task import Regression

_WIDTH = 100


class RegressionReport(PredictionsReport):
    """Predicted numbers against the wanted ones."""

    no_interval = "it is undefined, for the predicted or the wanted numbers are all the same"

    def __init__(self, task: Regression):
        self._main = task.main_metric

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        return {"predicted": pa.array(logits[:, 0])}

    def spell_labels(self, rows: pa.Table) -> pa.Array:
        labels = rows["label"].to_numpy()
        return pa.array(labels, pa.float32(), mask=np.isnan(labels))

    def intervals(self, metrics: RegressionMetrics) -> dict[str, Interval | None]:
        from scipy.stats import rankdata  # here, since a run needs it first after its training

        pairs = metrics.predicted, metrics.wanted
        low, high = error_interval(*pairs, power=2)
        intervals = {
            "spearman": correlation_interval(*map(rankdata, pairs)),
            "pearson": correlation_interval(*pairs),
            "mae": error_interval(*pairs, power=1),
            "rmse": (low**0.5, high**0.5),
        }
        return {self._main: intervals[self._main]} | intervals if self._main in intervals else intervals

    def find_missed(self, path: Path) -> np.ndarray:
        """Those whose error is among the largest tenth."""
        slices = read_slices(path, ("label", "predicted"))
        pairs = [(rows["predicted"].to_numpy(), rows["label"].to_numpy(zero_copy_only=False)) for rows in slices]
        errors = np.concatenate([np.abs(predicted - wanted) for predicted, wanted in pairs])
        return errors > np.quantile(errors, 0.9)  # of unknown labels nothing is

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        wanted = "" if row["label"] is None else f" (true {row['label']:.3f})"
        start = f"{row['predicted']:8.3f}{wanted}  "
        return [start + quote(row["text"], _WIDTH - len(start))]

    def draw(self, metrics: RegressionMetrics, path: Path, figures: Path) -> None:
        draw_scatter(metrics.wanted, metrics.predicted, figures / "predictions.png")
