"""Question answering as the other rooms see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from bertexp.data.examples import Examples
    from bertexp.data.examples.module import DataModule


@dataclass
class QuestionAnsweringConfig(TaskConfig):
    """The part of a context that answers a question."""

    name: str = setting("question_answering", "the task; task=<name> chooses it")
    max_answer_length: int = setting(30, "of an answer", unit="word pieces", above=0)


class QuestionAnsweringSpec(TaskSpec):
    """The part of a context that answers a question."""

    name = "question_answering"
    help = (
        "The part of a text that answers a question (SQuAD); judged by F1 of the words, long texts are read in windows."
    )
    settings = QuestionAnsweringConfig
    metrics = ("f1", "exact_match", "loss")
    label_form = "answers"
    has_classes = False
    nouns = ("answer", "questions and answers")
    numbers = "score"
    reads_positions = True
    reads_windows = True
    long_texts = ("truncate_head", "windows")
    long_text_rule = ("reads the whole of long contexts in windows", "")

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        return 2

    def build_examples(self, source: DataModule, split: str) -> Examples:
        return self._beside("examples").build_examples(source, split)

    def spell(self, label: Any, label_names: Sequence[str]) -> str:
        if label is None:
            return "?"
        return label[0]["text"] if label else "(no answer)"

    def sample_rows(self, texts: Sequence[str], dataset: str, classes: int, has_pair: bool) -> pa.Table:
        return self._beside("samples").sample_rows(texts, some_unanswerable=dataset == "squad_v2")

    def inputs(self, has_pair: bool) -> tuple[str, ...]:
        return ("question", "context")

    def example(self, has_pair: bool) -> tuple[str, ...]:
        return ("who made the film?", "The film was made by two sisters in Oslo.")

    def placeholders(self, has_pair: bool) -> tuple[str, ...]:
        return ("your question", "a text that answers it")

    def describe_answer(self, units: int) -> tuple[str, str]:
        return "span", "best start and end"

    def answer(self, settings: QuestionAnsweringConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        types = {"answer": "string", "score": "double", "start": "long", "end": "long"}  # these in bytes of the context
        return tuple(AnswerColumn(name, name, kind) for name, kind in types.items())
