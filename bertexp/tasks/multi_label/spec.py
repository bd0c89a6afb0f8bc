"""Multi-label classification as the other rooms see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec

NOTHING = "(none)"  # a set without classes


@dataclass
class MultiLabelConfig(TaskConfig):
    """Any number of the classes of a text or a pair."""

    name: str = setting("multi_label", "the task; task=<name> chooses it")
    threshold: float = setting(0.5, "a class is given from this probability on", above=0, below=1)


class MultiLabelSpec(TaskSpec):
    """Any number of the classes of a text or a pair."""

    name = "multi_label"
    help = (
        'Any number of the classes per text: lists in jsonl or parquet, "a,b" in a csv cell (dataset.label_separator).'
    )
    settings = MultiLabelConfig
    metrics = ("f1", "f1_macro", "precision", "recall", "exact_match", "roc_auc", "loss")
    label_form = "classes"

    def spell(self, label: Any, label_names: Sequence[str]) -> str | None:
        return None if label is None else ", ".join(_quote(label_names[index]) for index in label) or NOTHING

    def sample_label(self, row: int, classes: int) -> Any:
        return [row % classes] if row % 3 else []

    def describe_answer(self, units: int) -> tuple[str, str]:
        return "probabilities", "sigmoid"

    def answer(self, settings: MultiLabelConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("labels", "probabilities", "string", "above", threshold=settings.threshold),
            AnswerColumn("probabilities", "probabilities", "double", "by_class"),
        )


def _quote(name: str) -> str:
    """A class of a set; in quotes if it could be taken for several, or for none: the set of "x, y" is not that of x and y."""
    return json.dumps(name, ensure_ascii=False) if {",", '"'} & set(name) or name == NOTHING else name
