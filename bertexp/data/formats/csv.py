"""csv: fields between commas, which may be quoted and then hold line breaks (RFC 4180)."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bertexp.data.formats.delimited import open_text, pick_fields, read_delimited
from bertexp.data.formats.spec import Bad, Columns, Row
from bertexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def column_names(path: Path) -> tuple[str, ...]:
    """Reads the header."""
    with open_text(path) as file:
        try:
            return tuple(next((row for row in csv.reader(file, strict=True) if row), ()))
        except csv.Error as error:
            raise DataError(f"{path}:1: the header is not valid csv ({error})") from error


def read_table(path: Path, columns: Columns, others: bool = False) -> pa.Table:
    """Reads all rows at once."""
    from pyarrow.csv import ParseOptions

    return read_delimited(path, columns, ParseOptions(newlines_in_values=True), others)


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Reads row by row."""
    csv.field_size_limit(sys.maxsize)
    with open_text(path) as file:
        yield from pick_fields(columns, _records(file))


def _records(file: TextIO) -> Iterator[tuple[int, list[str] | Bad]]:
    reader = csv.reader(file, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, Bad("broken quotes", f"the row is not valid csv, perhaps a quote is not closed ({error})")
