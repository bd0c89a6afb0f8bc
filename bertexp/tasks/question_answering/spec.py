"""Question answering as the other rooms see it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertexp.config.checks import setting
from bertexp.config.schema import TaskConfig
from bertexp.interfaces import AnswerColumn
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from bertexp.data.sets.spec import DataSet


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
    own_examples = "QuestionExamples"
    reads_positions = True
    reads_windows = True
    long_texts = ("truncate_head", "windows")
    long_text_rule = ("reads the whole of long contexts in windows", "")

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        return 2

    def spell(self, label: Any, label_names: Sequence[str]) -> str | None:
        if label is None:
            return None
        return label[0]["text"] if label else "(no answer)"

    def sample_rows(self, texts: Sequence[str], dataset: DataSet, classes: int, has_pair: bool) -> pa.Table:
        """What comes after a word of each text: the word there; asked of a word that is not there, nothing."""
        import pyarrow as pa

        questions, answers = [], []
        for row, text in enumerate(texts):
            words = list(re.finditer(r"\w+", text))
            asked, answer = words[row % (len(words) - 1) :][:2]
            unanswerable = dataset.some_unanswerable and row % 4 == 0
            questions.append(f"What comes after {'zebra' if unanswerable else asked.group()}?")
            answers.append([] if unanswerable else [{"text": answer.group(), "start": answer.start()}])
        numbers = [str(row) for row in range(len(texts))]
        labels = pa.array(answers, pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())])))
        return pa.table({"text": questions, "text_pair": texts, "label": labels, "id": numbers})

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
