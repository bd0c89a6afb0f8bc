"""Question answering as the other rooms see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertexp.config.checks import positive
from bertexp.config.task import TaskConfig
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.interfaces import Task


@dataclass
class QuestionAnsweringConfig(TaskConfig):
    """The part of a context that answers a question."""

    name: str = "question_answering"
    max_answer_length: int = 30  # in word pieces

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("task.max_answer_length", self.max_answer_length)


class QuestionAnsweringSpec(TaskSpec):
    """The part of a context that answers a question."""

    name = "question_answering"
    help = (
        "The part of a text that answers a question (SQuAD); judged by F1 of the words, long texts are read in windows."
    )
    settings = QuestionAnsweringConfig
    metrics = ("f1", "exact_match", "loss")
    reads_positions = True
    reads_windows = True
    long_texts = ("truncate_head", "windows")
    long_text_rule = ("reads the whole of long contexts in windows", "")

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        return 2

    def build(self, settings: QuestionAnsweringConfig, dataset: TextDataset) -> Task:
        from bertexp.tasks.question_answering.task import QuestionAnswering

        return QuestionAnswering(settings.max_answer_length, dataset.has_null_answers, settings.main_metric)
