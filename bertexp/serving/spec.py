"""What the graph of an exported model has to know."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.tasks.tagging.tags import scheme_of


@dataclass(frozen=True)
class ServingSpec:
    """What the graph around the model has to know; written to ``bertexp.json``."""

    label_names: tuple[str, ...]
    max_length: int  # word pieces per row, special tokens included
    has_pair: bool
    task: str = "classification"
    binary_head: str = "sigmoid"  # two classes: sigmoid (one logit) | softmax
    threshold: float = 0.5  # multi_label: a class is given from this probability on
    long_text: str = "truncate_head"  # what stays of a text that is too long
    window_overlap: int = 0  # of windows and question_answering: pieces that neighbouring windows share
    max_answer_length: int = 30  # question_answering: in pieces
    null_answers: bool = False  # question_answering: whether there may be none

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the texts that ``serving_default`` takes."""
        if self.task == "question_answering":
            return ("question", "context")
        return ("text", "text_pair") if self.has_pair else ("text",)

    @property
    def scheme(self) -> str | None:
        """How the tags of a tagger spell entities: IOB2, IOBES or BILOU; None for other tags."""
        return scheme_of(self.label_names) if self.task == "tagging" else None

    @property
    def one_logit(self) -> bool:
        """Whether the model returns the log-odds of the second of two classes."""
        return len(self.label_names) == 2 and self.binary_head == "sigmoid"
