"""Multi-label classification as the other rooms see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertexp.config.checks import setting
from bertexp.config.schema.task import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec


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

    def answer(self, settings: MultiLabelConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("labels", "probabilities", "string", "above", threshold=settings.threshold),
            AnswerColumn("probabilities", "probabilities", "double", "by_class"),
        )
