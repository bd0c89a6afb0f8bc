"""The report on classes that have an order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from bertexp.reports.intervals import share_interval
from bertexp.reports.pictures.figures import draw_bars
from bertexp.reports.statistics import quote
from bertexp.tasks.base import PredictionsReport, verdict


class OrdinalReport(PredictionsReport):
    """How often the right class was reached, and by how much it was missed."""

    def read(self, truth, logits):
        return {"predicted": pa.array(self._task.label_names).take(self._task.decide(logits))}

    def intervals(self, metrics):
        return {"accuracy": share_interval(metrics.hits / metrics.rows, metrics.rows)}

    def show(self, row, missed):
        return [f"{verdict(row, missed)}  {row['predicted']} of {row['label']}  {quote(row['text'], 60)}"]

    def draw(self, metrics, path, figures):
        shares = np.array([metrics.hits / metrics.rows])
        draw_bars([f"all ({metrics.rows})"], shares, "Rows of the right class", figures / "right.png")
