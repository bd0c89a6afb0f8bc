"""Regression as the other rooms see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertexp.config.task import TaskConfig
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.interfaces import Task


@dataclass
class RegressionConfig(TaskConfig):
    """A number for a text or a pair."""

    name: str = "regression"


class RegressionSpec(TaskSpec):
    """A number for a text or a pair."""

    name = "regression"
    help = "A number per text or pair."
    settings = RegressionConfig
    metrics = ("pearson", "spearman", "rmse", "mae", "loss")
    lower_is_better = ("rmse", "mae", "loss")

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        return 1

    def build(self, settings: TaskConfig, dataset: TextDataset) -> Task:
        from bertexp.tasks.regression.task import Regression

        return Regression(settings.main_metric)
