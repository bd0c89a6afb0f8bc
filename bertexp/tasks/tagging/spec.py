"""Tagging as the other rooms see it."""

from __future__ import annotations

import re
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

    from bertexp.data.sets.spec import DataSet


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
    own_examples = "TaggedExamples"
    reads_words = True
    reads_positions = True
    long_texts = ("truncate_head",)
    long_text_rule = ("reads sentences from their head", ", and raise dataset.max_length where sentences are long")

    def spell(self, label: Any, label_names: Sequence[str]) -> str | None:
        return None if label is None else " ".join(label_names[index] for index in label)

    def sample_rows(self, texts: Sequence[str], dataset: DataSet, classes: int, has_pair: bool) -> pa.Table:
        """Words, and whether each is part of a name: has a capital and begins no sentence."""
        import pyarrow as pa

        words = [re.findall(r"[\w'’-]+|[^\w\s]", text) for text in texts]
        columns = {"words": pa.array(words, pa.list_(pa.string())), "text": [" ".join(row) for row in words]}
        return pa.table(columns | {"label": pa.array(map(_tag_names, words), pa.list_(pa.int32()))})

    def answer(self, settings: TaskConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        return (
            AnswerColumn("entities", "tags", "string", "entities", scheme=scheme_of(label_names)),
            AnswerColumn("words", "words", "string", "words"),
            AnswerColumn("tags", "tags", "string", "words"),
        )


def _tag_names(words: Sequence[str]) -> list[int]:
    """The indices of each word's tag among ``sample_names``."""
    named = [index > 0 and word[0].isupper() and words[index - 1] not in ".!?(" for index, word in enumerate(words)]
    return [int(is_name) + int(is_name and named[index - 1]) for index, is_name in enumerate(named)]
