"""The report on a set of classes for each text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertexp.data.table import is_labelled
from bertexp.reports.pictures.figures import draw_bars
from bertexp.reports.statistics import bootstrap_sums, choose_samples, f1_of_sums, quote

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.evaluation import Outputs


class MultiLabelReport:
    """F1 of each class, the sets that were given."""

    def __init__(self, parts: Parts, split: str, outputs: Outputs):
        self._rows = parts.dataset.take(split, outputs.rows)
        self._names = np.array(parts.dataset.label_names, object)
        self._probabilities = parts.task.answers(outputs.truth, outputs.logits)
        self._given, self._wanted = self._probabilities >= parts.task.threshold, outputs.truth > 0
        self._labelled = is_labelled(self._rows)

    def intervals(self) -> dict[str, tuple[float, float]]:
        counts = [(self._given & self._wanted).sum(1), self._given.sum(1), self._wanted.sum(1)]
        right = (self._given == self._wanted).all(1)
        return {
            "f1": bootstrap_sums(f1_of_sums, np.stack(counts, axis=1)),
            "exact_match": bootstrap_sums(lambda sums: sums[:, 0] / len(right), right[:, None]),
        }

    def samples(self) -> list[str]:
        wrong = (self._given != self._wanted).any(1) & self._labelled
        lines = []
        for row in choose_samples(wrong):
            verdict = ("wrong" if wrong[row] else "right") if self._labelled else "?"
            end = f"  (true: {self._in_words(self._wanted[row])})" if wrong[row] else ""
            start = f"{verdict:5}  {self._in_words(self._given[row])}  "
            lines.append(
                start + quote(self._rows["text"][int(row)].as_py(), max(100 - len(start) - len(end), 20)) + end
            )
        return lines

    def draw(self, figures: Path) -> None:
        sums = [(self._given & self._wanted).sum(0), self._given.sum(0), self._wanted.sum(0)]
        scores = f1_of_sums(np.stack(sums, axis=1))
        labels = [f"{name} ({count:,})" for name, count in zip(self._names, sums[2], strict=True)]
        draw_bars(labels, scores, "F1 of each class (rows of it)", figures / "classes.png")

    def table(self) -> pa.Table:
        wanted = [self._in_words(row) if self._labelled else None for row in self._wanted]
        table = self._rows.drop_columns(["label"])
        table = table.append_column("label", pa.array(wanted, pa.string()))
        table = table.append_column("predicted", pa.array([self._in_words(row) for row in self._given], pa.string()))
        for index, name in enumerate(self._names):
            table = table.append_column(f"p_{name}", pa.array(self._probabilities[:, index]))
        return table

    def _in_words(self, members: np.ndarray) -> str:
        return ", ".join(self._names[members]) or "(none)"
