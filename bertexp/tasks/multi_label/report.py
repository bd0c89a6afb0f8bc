"""The report on a set of classes for each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertexp.reports.intervals import Interval, ratio_interval, share_interval
from bertexp.reports.pictures.figures import draw_bars
from bertexp.reports.statistics import f1_of_sums, quote
from bertexp.tasks.multi_label.metrics import MultiLabelMetrics
from bertexp.tasks.report import PredictionsReport, chance_columns, verdict

if TYPE_CHECKING:
    from bertexp.tasks.multi_label.task import MultiLabel

_WIDTH = 100


class MultiLabelReport(PredictionsReport):
    """F1 of each class, the sets that were given."""

    def __init__(self, task: MultiLabel):
        self._task, self._names = task, pa.array(task.label_names, pa.string())

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        chances = self._task.probabilities(logits)
        given = [self._in_words(np.flatnonzero(row >= self._task.threshold)) for row in chances]
        return {"predicted": pa.array(given, pa.string())} | chance_columns(chances, self._names)

    def spell_labels(self, rows: pa.Table) -> pa.Array:
        labels = rows["label"].to_pylist()
        return pa.array([None if label is None else self._in_words(label) for label in labels], pa.string())

    def intervals(self, metrics: MultiLabelMetrics) -> dict[str, Interval | None]:
        right, (hits, given, wanted) = metrics.right, metrics.by_row.T
        return {
            "f1": ratio_interval(hits, (given + wanted) / 2),
            "exact_match": share_interval(right.mean(), len(right)),
        }

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        start = f"{verdict(row, missed)}  {row['predicted']}  "
        end = f"  (true: {row['label']})" if missed else ""
        return [start + quote(row["text"], max(_WIDTH - len(start) - len(end), 20)) + end]

    def draw(self, metrics: MultiLabelMetrics, path: Path, figures: Path) -> None:
        wanted = metrics.by_class[:, 2]
        labels = [f"{name} ({count:,})" for name, count in zip(self._task.label_names, wanted, strict=True)]
        draw_bars(labels, f1_of_sums(metrics.by_class), "F1 of each class (rows of it)", figures / "classes.png")

    def _in_words(self, classes: Sequence[int] | np.ndarray) -> str:
        return ", ".join(self._task.label_names[index] for index in classes) or "(none)"
