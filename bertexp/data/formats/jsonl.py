"""jsonl: a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.data.formats.spec import Bad, Columns, Row
from bertexp.data.formats.text import open_text, read_utf8, said_of_encoding
from bertexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 4 << 20
_FIRST = 100  # records that are looked at for their keys and labels: one may lack a key
_BLANK = " \t\r\n"


def column_names(path: Path, columns: Columns) -> tuple[str, ...]:
    """Gathers the keys of the first objects."""
    first = _first_objects(path, columns.encoding)
    if not first:
        raise DataError(f"{path} holds no JSON objects, one a line")
    return tuple(dict.fromkeys(key for record in first for key in record))


def said(path: Path, columns: Columns) -> list[str]:
    """An encoding that was found."""
    return said_of_encoding(path, columns.encoding)


def read_table(path: Path, columns: Columns, others: bool = False) -> pa.Table:
    """Reads all rows at once; labels have the type of the first one."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    schema = {name: pa.string() for name in columns.wanted().values()}
    if columns.label is not None:
        first = (record.get(columns.label) for record in _first_objects(path, columns.encoding))
        types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), list: pa.list_(pa.string())}
        schema[columns.label] = types.get(type(next((label for label in first if label is not None), "")), pa.string())
    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema(schema), unexpected_field_behavior="infer" if others else "ignore"
    )
    content = pa.BufferReader(read_utf8(path, columns.encoding))
    table = arrow_json.read_json(content, arrow_json.ReadOptions(block_size=_BLOCK_BYTES), options)
    if table.num_rows != _count_objects(path, columns.encoding):
        raise pa.ArrowInvalid("a line holds several objects")
    return table


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Reads row by row."""
    for number, record in read_objects(path, columns.encoding):
        if isinstance(record, Bad):
            yield number, record
        else:
            yield number, {canonical: record.get(name) for canonical, name in columns.wanted().items()}


def read_objects(path: Path, encoding: str | None = None) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    """Yields the object of each line that is not blank, and the line's number from 1.

    Bytes that are not UTF-8 become surrogates, so that the text they stand in can be told.
    """
    for number, line in _lines(path, encoding):
        yield number, _parse(line)


def _first_objects(path: Path, encoding: str | None) -> list[dict[str, Any]]:
    return [record for _, record in islice(read_objects(path, encoding), _FIRST) if isinstance(record, dict)]


def _lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str]]:
    with open_text(path, encoding, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line := line.strip(_BLANK):
                yield number, line


def _count_objects(path: Path, encoding: str | None) -> int:
    """How many lines look like an object each; -1 if one does not.

    pyarrow takes objects as they follow one another, on several lines or many on one. Behind a closing brace no opening
    one can follow within an object: if every line has both at its ends and there are as many objects, each line is one.
    """
    count = 0
    for _, line in _lines(path, encoding):
        if line[0] != "{" or line[-1] != "}":
            return -1
        count += 1
    return count


def _parse(line: str) -> dict[str, Any] | Bad:
    try:
        record = json.loads(line)
    except (
        ValueError,
        RecursionError,
    ) as error:  # the others: a number of thousands of digits, lists in lists in lists
        why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        return Bad("broken JSON", f"the line is not valid JSON ({why})")
    return record if isinstance(record, dict) else Bad("broken JSON", "the line is not a JSON object")
