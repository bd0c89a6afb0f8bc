"""The report on a tag for each word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertexp.data.formats.tags import entity_types, scheme_of
from bertexp.data.table import is_labelled
from bertexp.reports.pictures.figures import draw_bars
from bertexp.reports.statistics import bootstrap_sums, choose_samples, f1_of_sums
from bertexp.tasks.tagging.entities import Entity, count_entities, entity_sets

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.evaluation import Outputs

_WIDTH = 110


class TaggingReport:
    """F1 of each type of entity, sentences with their entities in brackets."""

    def __init__(self, parts: Parts, split: str, outputs: Outputs):
        self._rows = parts.dataset.take(split, outputs.rows)
        self._names = parts.dataset.label_names
        self._labelled = is_labelled(self._rows)
        self._true, self._predicted = parts.task.decode(outputs.truth, outputs.logits)

    def intervals(self) -> dict[str, tuple[float, float]]:
        pairs = [
            (sum(map(str.__eq__, true, predicted)), len(true))
            for true, predicted in zip(self._true, self._predicted, strict=True)
        ]
        return {
            "f1": bootstrap_sums(f1_of_sums, self._counts().sum(1)),
            "accuracy": bootstrap_sums(lambda sums: sums[:, 0] / sums[:, 1], np.array(pairs)),
        }

    def samples(self) -> list[str]:
        scheme = scheme_of(self._names)
        true, predicted = entity_sets(self._true, scheme), entity_sets(self._predicted, scheme)
        wrong = np.array([a != b for a, b in zip(true, predicted, strict=True)]) & self._labelled
        lines = []
        for row in choose_samples(wrong):
            verdict = ("wrong" if wrong[row] else "right") if self._labelled else "?"
            words = self._rows["words"][int(row)].as_py()
            lines.append(f"{verdict:5}  {_in_brackets(words, predicted[row])}")
            if wrong[row]:
                lines.append(f"{'true':>5}  {_in_brackets(words, true[row])}")
        return lines

    def draw(self, figures: Path) -> None:
        sums = self._counts().sum(0)
        labels = [f"{name} ({count:,})" for name, count in zip(entity_types(self._names), sums[:, 2], strict=True)]
        draw_bars(labels, f1_of_sums(sums), "F1 of each type (entities of it)", figures / "entities.png")

    def table(self) -> pa.Table:
        true = [" ".join(tags) if self._labelled else None for tags in self._true]
        table = self._rows.drop_columns(["label"]).append_column("label", pa.array(true, pa.string()))
        return table.append_column("predicted", pa.array([" ".join(tags) for tags in self._predicted], pa.string()))

    def _counts(self) -> np.ndarray:
        """<int64>[sentences, types, 3], see ``count_entities``."""
        return count_entities(self._true, self._predicted, self._names)


def _in_brackets(words: Sequence[str], entities: set[Entity]) -> str:
    """``[Ann Smith person] won``, from the first entity's neighbourhood on, cut to a line."""
    spelled = list(words)
    for kind, begin, end in entities:
        spelled[begin] = f"[{spelled[begin]}"
        spelled[end - 1] = f"{spelled[end - 1]} {kind}]"
    start = max(min((begin for _, begin, _ in entities), default=0) - 4, 0)
    line = ("… " if start else "") + " ".join(spelled[start:])
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
