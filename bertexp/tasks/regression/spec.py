"""Regression as the other rooms see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec


@dataclass
class RegressionConfig(TaskConfig):
    """A number for a text or a pair."""

    name: str = setting("regression", "the task; task=<name> chooses it")


class RegressionSpec(TaskSpec):
    """A number for a text or a pair."""

    name = "regression"
    help = "A number per text or pair."
    settings = RegressionConfig
    metrics = ("pearson", "spearman", "rmse", "mae", "loss")
    label_form = "number"
    has_classes = False
    nouns = ("number", "numbers")
    numbers = "score"
    lower_is_better = ("rmse", "mae", "loss")

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        return 1

    def spell(self, label: Any, label_names: Sequence[str]) -> str | None:
        return f"{label:g}"

    def sample_label(self, row: int, classes: int) -> Any:
        return row % 6

    def describe_answer(self, units: int) -> tuple[str, str]:
        return "number", ""

    def answer(self, settings: TaskConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (AnswerColumn("score", "score", "double"),)
