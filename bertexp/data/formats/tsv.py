"""tsv as in GLUE: fields between tabs, in which quotes are plain characters and line breaks do not occur."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.data.formats.delimited import open_text, pick_fields, read_delimited
from bertexp.data.formats.spec import Columns, Row

if TYPE_CHECKING:
    import pyarrow as pa


def column_names(path: Path) -> tuple[str, ...]:
    """Reads the header."""
    return tuple(next((fields for _, fields in _records(path)), ()))


def read_table(path: Path, columns: Columns, others: bool = False) -> pa.Table:
    """Reads all rows at once."""
    from pyarrow.csv import ParseOptions

    return read_delimited(path, columns, ParseOptions(delimiter="\t", quote_char=False), others)


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Reads row by row."""
    return pick_fields(columns, _records(path))


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line := line.rstrip("\r\n"):
                yield number, line.split("\t")
