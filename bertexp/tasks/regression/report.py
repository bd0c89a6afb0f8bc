"""The report on a number for each text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertexp.reports.pictures.figures import draw_scatter
from bertexp.reports.predictions import read_slices
from bertexp.reports.statistics import bootstrap_sums, correlation_interval, quote
from bertexp.tasks.regression.metrics import RegressionMetrics
from bertexp.tasks.report import PredictionsReport

if TYPE_CHECKING:
    from bertexp.tasks.regression.task import Regression

_WIDTH = 100


class RegressionReport(PredictionsReport):
    """Predicted numbers against the wanted ones."""

    def __init__(self, task: Regression):
        self._main = task.main_metric

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        return {"predicted": pa.array(logits[:, 0])}

    def spell_labels(self, rows: pa.Table) -> pa.Array:
        labels = rows["label"].to_numpy()
        return pa.array(labels, pa.float32(), mask=np.isnan(labels))

    def intervals(self, metrics: RegressionMetrics) -> dict[str, tuple[float, float]]:
        values, errors = metrics.result(), np.abs(metrics.predicted - metrics.wanted)[:, None]
        rows = len(errors)
        intervals = {name: correlation_interval(values[name], rows, name) for name in ("spearman", "pearson")}
        intervals["mae"] = bootstrap_sums(lambda sums: sums[:, 0] / rows, errors)
        intervals["rmse"] = bootstrap_sums(lambda sums: np.sqrt(sums[:, 0] / rows), errors**2)
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
