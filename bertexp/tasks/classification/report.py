"""The report on a class for each text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertexp.reports.confusions import count_confusions, f1_of, matthews_of
from bertexp.reports.pictures.figures import draw_confusion_matrix
from bertexp.reports.statistics import sample_predictions, wilson_interval

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.evaluation import Outputs

_RESAMPLED = {"f1": f1_of, "mcc": matthews_of}  # main metrics whose interval is bootstrapped; accuracy has Wilson's


class ClassificationReport:
    """Confusion matrix, accuracy, probabilities of every class."""

    def __init__(self, parts: Parts, split: str, outputs: Outputs):
        self._rows = parts.dataset.take(split, outputs.rows)
        self._labels, self._names, self._main = outputs.truth, parts.dataset.label_names, parts.task.main_metric
        self._probabilities = parts.task.answers(outputs.truth, outputs.logits)
        self._predicted = self._probabilities.argmax(axis=1)

    def intervals(self) -> dict[str, tuple[float, float]]:
        found = {"accuracy": wilson_interval(int((self._predicted == self._labels).sum()), len(self._labels))}
        if self._main in _RESAMPLED:
            counts = count_confusions(self._labels, self._predicted, len(self._names))
            found = {self._main: counts.interval(_RESAMPLED[self._main])} | found
        return found

    def samples(self) -> list[str]:
        return sample_predictions(self._rows["text"].to_pylist(), self._labels, self._probabilities, self._names)

    def draw(self, figures: Path) -> None:
        draw_confusion_matrix(
            count_confusions(self._labels, self._predicted, len(self._names)),
            self._names,
            figures / "confusion_matrix.png",
        )

    def table(self) -> pa.Table:
        in_words = np.array([*self._names, None], dtype=object)  # -1, an unknown label, is null
        table = self._rows.drop_columns(["label"])
        table = table.append_column("label", pa.array(in_words[self._labels], pa.string()))
        table = table.append_column("predicted", pa.array(in_words[self._predicted], pa.string()))
        table = table.append_column("probability", pa.array(self._probabilities.max(axis=1)))
        for index, name in enumerate(self._names):
            table = table.append_column(f"p_{name}", pa.array(self._probabilities[:, index]))
        return table
