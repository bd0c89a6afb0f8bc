"""The report on a tag for each word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertexp.data.formats.tags import entity_types, scheme_of
from bertexp.reports.intervals import Interval, ratio_interval
from bertexp.reports.statistics import f1_of_sums
from bertexp.tasks.report import PredictionsReport, draw_counted_bars, verdict
from bertexp.tasks.tagging.entities import Entity, entity_sets

if TYPE_CHECKING:
    from bertexp.tasks.tagging.task import TaggingMetrics

_WIDTH = 110


class TaggingReport(PredictionsReport):
    """F1 of each type of entity, sentences with their entities in brackets."""

    answered = "word was tagged"

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        _, predicted = self._task.decode(truth, logits)
        return {"predicted": pa.array([" ".join(tags) for tags in predicted], pa.string())}

    def intervals(self, metrics: TaggingMetrics) -> dict[str, Interval | None]:
        hits, predicted, true, right, words = metrics.by_sentence.T
        return {"f1": ratio_interval(hits, (predicted + true) / 2), "accuracy": ratio_interval(right, words)}

    def missed(self, rows: pa.RecordBatch) -> np.ndarray:
        """Those with other entities than labelled."""
        differ = super().missed(rows).copy()
        true, predicted = (self._entities(rows[name].filter(differ).to_pylist()) for name in ("label", "predicted"))
        differ[differ] = [a != b for a, b in zip(true, predicted, strict=True)]
        return differ

    def answers(self, spelled: pa.Array) -> set[str]:
        """The different tags."""
        return {tag for tags in super().answers(spelled) for tag in tags.split(" ")}

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        spelled = [row["predicted"], row["label"]] if missed else [row["predicted"]]
        lines = zip((verdict(row, missed), " true"), self._entities(spelled), strict=False)
        return [f"{start}  {_in_brackets(row['words'], entities)}" for start, entities in lines]

    def draw(self, metrics: TaggingMetrics, path: Path, figures: Path) -> None:
        sums = metrics.by_type
        counts = dict(zip(entity_types(self._task.label_names), sums[:, 2], strict=True))
        draw_counted_bars(counts, f1_of_sums(sums), "F1 of each type (entities of it)", figures / "entities.png")

    def _entities(self, spelled: Sequence[str]) -> list[set[Entity]]:
        return entity_sets([tags.split(" ") for tags in spelled], scheme_of(self._task.label_names))


def _in_brackets(words: Sequence[str], entities: set[Entity]) -> str:
    """``[Ann Smith person] won``, from the first entity's neighbourhood on, cut to a line."""
    spelled = list(words)
    for kind, begin, end in entities:
        spelled[begin] = f"[{spelled[begin]}"
        spelled[end - 1] = f"{spelled[end - 1]} {kind}]"
    start = max(min((begin for _, begin, _ in entities), default=0) - 4, 0)
    line = ("… " if start else "") + " ".join(spelled[start:])
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
