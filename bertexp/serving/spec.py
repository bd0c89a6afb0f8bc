"""What the graph of an exported model has to know, and ``bertexp.json``, which says what the model reads and answers. Light."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bertexp.config.schema import TaskConfig
from bertexp.errors import RunNotFound
from bertexp.interfaces import Task
from bertexp.system.files import read_numbered
from bertexp.tasks.registry import find_task

FORMAT = 2  # of bertexp.json; `serving/saved_model/pyfunc.py` reads it, too
_FILE = "bertexp.json"


@dataclass(frozen=True)
class ServingSpec:
    """What the graph around the model has to know."""

    task: Task
    max_length: int  # word pieces per row, special tokens included
    has_pair: bool
    long_text: str = "truncate_head"  # what stays of a text that is too long
    window_overlap: int = 0  # pieces that neighbouring windows of a long text share

    def describe(self) -> dict[str, Any]:
        """The content of ``bertexp.json``, all that the one-file loader needs; the export adds what it alone knows."""
        settings = asdict(self.task.settings)
        del settings["name"], settings["main_metric"]
        own = {"task": self.task.spec.name, "settings": settings, "label_names": list(self.task.label_names)}
        shape = {name: getattr(self, name) for name in ("max_length", "has_pair", "long_text", "window_overlap")}
        return {"format": FORMAT, **own, **shape, **_reading(self.task.settings, own | shape)}


def read_about(folder: Path) -> dict[str, Any]:
    """The content of the ``bertexp.json`` of an exported model, also of those of format 1, which left much to its reader.

    Raises:
        RunNotFound: it is missing.
        FormatUnknown: a later bertexp wrote it.
    """
    try:
        about = read_numbered(folder / _FILE, FORMAT)
    except FileNotFoundError:
        raise RunNotFound(f"{folder} is a SavedModel, but not one that bertexp exported: {_FILE} is missing") from None
    if about["format"] == 1:
        spec = find_task(about["task"])
        known = {field.name: about[field.name] for field in fields(spec.settings) if field.name in about}
        about |= _reading(spec.settings(**known), about) | {"format": FORMAT}
    return about


def _reading(settings: TaskConfig, about: dict[str, Any]) -> dict[str, Any]:
    """What texts the model takes and how its outputs become an answer."""
    spec, has_pair = settings.spec, about["has_pair"]
    inputs = spec.inputs(has_pair)
    columns = [asdict(column) for column in spec.answer(settings, about["label_names"])]
    return {
        "inputs": list(inputs),
        "example": dict(zip(inputs, spec.example(has_pair), strict=True)),
        "reads_words": spec.reads_words,  # also takes words, through a signature of that name
        "bounded": about["long_text"] != "windows" and not spec.reads_windows,  # whether max_length bounds a row
        "numbers": spec.numbers,  # the output that must equal the trained model's
        "answer": [{key: value for key, value in column.items() if value is not None} for column in columns],
    }
