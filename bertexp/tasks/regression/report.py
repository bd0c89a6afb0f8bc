"""The report on a number for each text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertexp.data.table import is_labelled
from bertexp.reports.pictures.figures import draw_scatter
from bertexp.reports.statistics import bootstrap_sums, choose_samples, correlation_interval, quote

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.evaluation import Outputs


class RegressionReport:
    """Predicted numbers against the wanted ones."""

    def __init__(self, parts: Parts, split: str, outputs: Outputs):
        self._rows = parts.dataset.take(split, outputs.rows)
        self._wanted, self._predicted = outputs.truth, outputs.logits[:, 0]
        self._task, self._main = parts.task, parts.task.main_metric
        self._outputs, self._labelled = outputs, is_labelled(self._rows)

    def intervals(self) -> dict[str, tuple[float, float]]:
        metrics, rows = self._task.make_metrics(), len(self._wanted)
        metrics.update(self._outputs.truth, self._outputs.logits)
        values = metrics.result()
        found = {name: correlation_interval(values[name], rows, name) for name in ("spearman", "pearson")}
        errors = np.abs(self._predicted - self._wanted).astype(np.float64)[:, None]
        found["mae"] = bootstrap_sums(lambda sums: sums[:, 0] / rows, errors)
        found["rmse"] = bootstrap_sums(lambda sums: np.sqrt(sums[:, 0] / rows), errors**2)
        return {self._main: found[self._main]} | found if self._main in found else found

    def samples(self) -> list[str]:
        lines = []
        far = np.zeros(len(self._predicted), bool)
        if self._labelled:
            errors = np.abs(self._predicted - self._wanted)
            far = errors > np.quantile(errors, 0.9)
        for row in choose_samples(far):
            wanted = f" (true {self._wanted[row]:.3f})" if self._labelled else ""
            start = f"{self._predicted[row]:8.3f}{wanted}  "
            lines.append(start + quote(self._rows["text"][int(row)].as_py(), 100 - len(start)))
        return lines

    def draw(self, figures: Path) -> None:
        draw_scatter(self._wanted, self._predicted, figures / "predictions.png")

    def table(self) -> pa.Table:
        wanted = pa.array(self._wanted, pa.float32(), mask=np.isnan(self._wanted))
        table = self._rows.drop_columns(["label"]).append_column("label", wanted)
        return table.append_column("predicted", pa.array(self._predicted))
