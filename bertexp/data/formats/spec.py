"""The formats of rows with named columns, and what a module of this folder has for one. Standard library only."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from bertexp.errors import DataError, did_you_mean

if TYPE_CHECKING:  # pyarrow loads when rows are read
    import pyarrow as pa


@dataclass(frozen=True)
class Format:
    """What is known of a format without its module."""

    counts: str = "line"  # what the numbers of its rows count, from 1: line | row
    has_lists: bool = False  # whether a cell can be a list: of classes, words or tags


FORMATS = {  # extension of the files and module in this folder
    "csv": Format(),
    "tsv": Format(),
    "jsonl": Format(has_lists=True),
    "parquet": Format(counts="row", has_lists=True),
}


@dataclass(frozen=True)
class Columns:
    """The columns to read; ``label=None`` for a file without labels."""

    text: str | None = "text"
    text_pair: str | None = None
    label: str | None = "label"
    header: tuple[str, ...] | None = None  # of a file that has no header line

    def wanted(self) -> dict[str, str]:
        """Returns the canonical name and the file's name of each column to read."""
        names = {"text": self.text, "text_pair": self.text_pair, "label": self.label}
        return {canonical: name for canonical, name in names.items() if name is not None}


class Bad(NamedTuple):
    """What is wrong with a row: one of a few reasons, and the details."""

    reason: str
    detail: str


Values = dict[str, object]  # canonical column name -> value as it stands in the file
Row = tuple[int, "Values | Bad"]  # number of the line or row, from 1, and what it holds


class FormatModule(Protocol):
    """The two ways through a file, whole at pyarrow's speed and row by row, and the names of its columns.

    pyarrow is imported within the functions: a wrong column name is then an answer in milliseconds.
    """

    def column_names(self, path: Path) -> tuple[str, ...]:
        """Reads the names from the file's beginning; none of an empty file. Raises DataError."""

    def read_table(self, path: Path, columns: Columns, others: bool = False) -> pa.Table:
        """Reads all rows at once: the wanted columns under the file's names, with the file's types; ``others``: all columns.

        Raises ``pa.ArrowInvalid`` or ``UnicodeDecodeError`` for a file that must be read row by row to say what is wrong.
        """

    def read_rows(self, path: Path, columns: Columns) -> Iterator[Row]:
        """Yields row by row; a bad row does not end it."""


def format_of(path: Path) -> str:
    """Returns the format that the file's extension names.

    Raises:
        DataError: it names none.
    """
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        *most, last = (f".{known}" for known in FORMATS)
        raise DataError(f"{path} is not a {', '.join(most)} or {last} file{did_you_mean(name, FORMATS)}")
    return name


def load_format(name: str) -> FormatModule:
    """Returns the module of a format."""
    return cast(FormatModule, importlib.import_module(f"bertexp.data.formats.{name}"))


def place_of(path: Path, number: int) -> str:
    """Names the place of a row, as messages do."""
    counts = FORMATS.get(path.suffix.removeprefix(".").lower(), Format()).counts
    return f"{path}:{number}" if counts == "line" else f"{path}, {counts} {number}"
