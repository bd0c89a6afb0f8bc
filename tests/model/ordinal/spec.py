"""Ordinal regression as the rooms of bertexp see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec


@dataclass
class OrdinalConfig(TaskConfig):
    """One of several classes that have an order."""

    name: str = setting("ordinal", "the task; task=<name> chooses it")
    passed: float = setting(0.5, "a class is reached from this probability on", above=0, below=1)


class OrdinalSpec(TaskSpec):
    """One of several classes that have an order, such as stars (Frank and Hall 2001): has the text reached the next one?"""

    name = "ordinal"
    help = "One of several classes in their order, such as 1 to 5 stars."
    settings = OrdinalConfig
    metrics = ("mae", "accuracy", "loss")
    lower_is_better = ("mae", "loss")

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        return classes - 1

    def describe_answer(self, units: int) -> tuple[str, str]:
        return "probabilities", "differences of sigmoids"

    def answer(self, settings: TaskConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("label", "label", "string"),
            AnswerColumn("rank", "rank", "double"),
            AnswerColumn("probabilities", "probabilities", "double", "by_class"),
        )
