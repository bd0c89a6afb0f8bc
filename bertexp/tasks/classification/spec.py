"""Classification as the other rooms see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec


@dataclass
class ClassificationConfig(TaskConfig):
    """One class of a text or a pair."""

    name: str = setting("classification", "the task; task=<name> chooses it")
    binary_head: str = setting(
        "sigmoid", "of two classes: sigmoid (one logit) or softmax (two)", choices=("sigmoid", "softmax")
    )


class ClassificationSpec(TaskSpec):
    """One class of a text or a pair."""

    name = "classification"
    help = "One label per text; two classes take one logit (task.binary_head=softmax: two)."
    settings = ClassificationConfig
    metrics = ("accuracy", "precision", "recall", "f1", "mcc", "roc_auc", "loss")

    def count_units(self, settings: ClassificationConfig, classes: int) -> int:
        return 1 if classes == 2 and settings.binary_head == "sigmoid" else classes

    def describe_answer(self, units: int) -> tuple[str, str]:
        return "probabilities", "sigmoid" if units == 1 else "softmax"

    def answer(self, settings: ClassificationConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("label", "label", "string"),
            AnswerColumn("probability", "probabilities", "double", "of_class", of="label"),
            AnswerColumn("probabilities", "probabilities", "double", "by_class"),
        )
