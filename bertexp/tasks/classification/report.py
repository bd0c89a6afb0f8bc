"""The report on a class for each text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertexp.reports.intervals import OF_CONFUSIONS, SMALLEST_CLASS, Interval, accuracy_interval
from bertexp.reports.pictures.figures import draw_confusion_matrix
from bertexp.reports.statistics import quote
from bertexp.tasks.classification.metrics import ClassificationMetrics
from bertexp.tasks.report import PredictionsReport, chance_columns, verdict

if TYPE_CHECKING:
    from bertexp.tasks.classification.task import Classification

_WIDTH = 100


class ClassificationReport(PredictionsReport):
    """Confusion matrix, accuracy, probabilities of every class."""

    no_interval = f"a mean over classes has one if each class has {SMALLEST_CLASS} rows"

    def __init__(self, task: Classification):
        self._task, self._names = task, pa.array(task.label_names, pa.string())
        self._column = max(map(len, task.label_names))

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        chances, predicted = self._task.probabilities(logits), self._task.decide(logits)
        columns = {"predicted": self._names.take(predicted), "probability": pa.array(chances.max(axis=1))}
        return columns | chance_columns(chances, self._names)

    def spell_labels(self, rows: pa.Table) -> pa.Array:
        labels = rows["label"].to_numpy()
        return self._names.take(pa.array(labels, mask=labels < 0))

    def intervals(self, metrics: ClassificationMetrics) -> dict[str, Interval | None]:
        main, confusions = self._task.main_metric, metrics.confusions
        first = {main: OF_CONFUSIONS[main](confusions)} if main in OF_CONFUSIONS else {}
        return first | {"accuracy": accuracy_interval(confusions)}

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        start = f"{verdict(row, missed)}  {row['predicted']:{self._column}} {row['probability']:4.0%}  "
        end = f"  (true: {row['label']})" if missed else ""
        return [start + quote(row["text"], max(_WIDTH - len(start) - len(end), 20)) + end]

    def draw(self, metrics: ClassificationMetrics, path: Path, figures: Path) -> None:
        draw_confusion_matrix(metrics.confusions, self._task.label_names, figures / "confusion_matrix.png")
