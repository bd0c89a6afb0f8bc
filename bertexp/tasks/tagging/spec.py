"""Tagging as the other rooms see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertexp.config.task import TaskConfig
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.interfaces import Task


@dataclass
class TaggingConfig(TaskConfig):
    """A tag for each word of a sentence."""

    name: str = "tagging"


class TaggingSpec(TaskSpec):
    """A tag for each word of a sentence."""

    name = "tagging"
    help = "A tag per word: named entities, parts of speech; judged by entity F1."
    settings = TaggingConfig
    metrics = ("f1", "precision", "recall", "accuracy", "loss")
    reads_positions = True
    long_texts = ("truncate_head",)
    long_text_rule = ("reads sentences from their head", ", and raise dataset.max_length where sentences are long")

    def build(self, settings: TaskConfig, dataset: TextDataset) -> Task:
        from bertexp.tasks.tagging.task import Tagging

        return Tagging(dataset.label_names, settings.main_metric)
