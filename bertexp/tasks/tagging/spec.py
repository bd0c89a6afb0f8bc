"""Tagging as the other rooms see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.data.formats.tags import scheme_of
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from bertexp.data.examples import Examples
    from bertexp.data.examples.module import DataModule


@dataclass
class TaggingConfig(TaskConfig):
    """A tag for each word of a sentence."""

    name: str = setting("tagging", "the task; task=<name> chooses it")


class TaggingSpec(TaskSpec):
    """A tag for each word of a sentence."""

    name = "tagging"
    help = "A tag per word: named entities, parts of speech; judged by entity F1."
    settings = TaggingConfig
    metrics = ("f1", "precision", "recall", "accuracy", "loss")
    label_form = "tags"
    nouns = ("tag", "tags")
    sample_names = ("O", "B-name", "I-name")
    reads_words = True
    reads_positions = True
    long_texts = ("truncate_head",)
    long_text_rule = ("reads sentences from their head", ", and raise dataset.max_length where sentences are long")

    def build_examples(self, source: DataModule, split: str) -> Examples:
        return self._beside("examples").build_examples(source, split)

    def spell(self, label: Any, label_names: Sequence[str]) -> str:
        return "?" if label is None else " ".join(label_names[index] for index in label)

    def sample_rows(self, texts: Sequence[str], dataset: str, classes: int, has_pair: bool) -> pa.Table:
        return self._beside("samples").sample_rows(texts)

    def answer(self, settings: TaskConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("entities", "tags", "string", "entities", scheme=scheme_of(label_names)),
            AnswerColumn("words", "words", "string", "words"),
            AnswerColumn("tags", "tags", "string", "words"),
        )
