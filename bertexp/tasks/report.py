"""What a run shows of its predictions, by task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from bertexp.tasks.classification.report import ClassificationReport
from bertexp.tasks.multi_label.report import MultiLabelReport
from bertexp.tasks.question_answering.report import QuestionAnsweringReport
from bertexp.tasks.regression.report import RegressionReport
from bertexp.tasks.tagging.report import TaggingReport

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.evaluation import Outputs


class TaskReport(Protocol):
    """The predictions of one split."""

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95% intervals by metric, the one to name first at the front; needs labels."""

    def samples(self) -> list[str]:
        """A few predictions, a line each."""

    def draw(self, figures: Path) -> None:
        """Writes pictures into the folder; needs labels."""

    def table(self) -> pa.Table:
        """The rows with ``label`` (where known) and ``predicted``, both in words, and what else there is to know."""


_REPORTS = {
    "classification": ClassificationReport,
    "multi_label": MultiLabelReport,
    "regression": RegressionReport,
    "question_answering": QuestionAnsweringReport,
    "tagging": TaggingReport,
}


def make_report(parts: Parts, split: str, outputs: Outputs) -> TaskReport:
    """The report on ``outputs`` of ``split``."""
    return _REPORTS[parts.dataset.task](parts, split, outputs)
