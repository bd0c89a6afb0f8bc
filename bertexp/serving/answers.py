"""What a model says of texts, and how that is written: a table to look at, JSON lines, csv."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bertexp.system.console import aligned, widths_of


@dataclass(frozen=True)
class Prediction:
    """One row and what the model says of it."""

    texts: dict[str, Any]  # by the model's input names: text, perhaps text_pair
    answer: dict[str, Any]  # as `saved_model/pyfunc.py` tells it for each task; of a class: label, probability, …

    def as_dict(self) -> dict[str, Any]:
        """Texts and answer, ready for JSON."""
        return self.texts | self.answer


def put_beside(cells: Sequence[dict[str, Any]], predictions: Sequence[Prediction]) -> list[Prediction]:
    """With all cells of each row in its file in place of the texts; ``<name>_given`` where an answer has that name."""
    taken = {*predictions[0].answer, *_flatten(predictions[0].answer)}
    names = {name: f"{name}_given" if name in taken else name for name in cells[0]}
    return [
        replace(one, texts={names[name]: value for name, value in row.items()})
        for one, row in zip(predictions, cells, strict=True)
    ]


def as_table(predictions: Sequence[Prediction]) -> str:
    """Answer and text in columns; texts are cut to the width of the terminal, if there is one."""
    answers = [_shown(prediction.answer) for prediction in predictions]
    lines = [[*answers[0]], *([*answer.values()] for answer in answers)]
    used = sum(width + 2 for width in widths_of(lines))
    room = max(20, shutil.get_terminal_size().columns - used - 1) if sys.stdout.isatty() else None
    texts = [" | ".join(" ".join(part.split()) for part in one.texts.values()) for one in predictions]
    texts = [text if room is None or len(text) <= room else f"{text[: room - 1]}…" for text in texts]
    table = aligned([[*line, text] for line, text in zip(lines, ["text", *texts], strict=True)])
    return "\n".join(table) + "\n"


def as_json_lines(predictions: Sequence[Prediction]) -> str:
    """One object a line; dates and the like that a file may have held as text."""
    return "".join(json.dumps(one.as_dict(), ensure_ascii=False, default=str) + "\n" for one in predictions)


def as_csv(predictions: Sequence[Prediction]) -> str:
    """One line a row under a header; what is a list or an object in JSON becomes one cell, or one a class."""
    lines = [_flatten(one.as_dict()) for one in predictions]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, lines[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def as_conll(predictions: Sequence[Prediction]) -> str:
    """A word and its tag a line, sentences parted by a blank one."""
    sentences = (zip(one.answer["words"], one.answer["tags"], strict=True) for one in predictions)
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences)


def _shown(answer: dict[str, Any]) -> dict[str, str]:
    """The cells of the table: probabilities by class, words and their tags are for JSON and csv."""
    brief = {name: value for name, value in answer.items() if name not in ("probabilities", "words", "tags")}
    cells = _flatten(brief).items()
    return {name: f"{value:.4f}" if isinstance(value, float) else str(value) or "-" for name, value in cells}


def _flatten(answer: dict[str, Any]) -> dict[str, Any]:
    from bertexp.serving.saved_model.pyfunc import flatten  # it imports TensorFlow

    return flatten(answer)
