"""jsonl: a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.data.formats.spec import Bad, Columns, Row
from bertexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 4 << 20
_FIRST = 100  # records that are looked at for their keys and labels: one may lack a key


def column_names(path: Path) -> tuple[str, ...]:
    """Gathers the keys of the first objects."""
    first = _first_objects(path)
    if not first:
        raise DataError(f"{path} holds no JSON objects, one a line")
    return tuple(dict.fromkeys(key for record in first for key in record))


def read_table(path: Path, columns: Columns, others: bool = False) -> pa.Table:
    """Reads all rows at once; labels have the type of the first one."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    schema = {name: pa.string() for name in columns.wanted().values()}
    if columns.label is not None:
        first = (record.get(columns.label) for record in _first_objects(path))
        types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), list: pa.list_(pa.string())}
        schema[columns.label] = types.get(type(next((label for label in first if label is not None), "")), pa.string())
    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema(schema), unexpected_field_behavior="infer" if others else "ignore"
    )
    return arrow_json.read_json(path, arrow_json.ReadOptions(block_size=_BLOCK_BYTES), options)


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Reads row by row."""
    for number, record in _records(path):
        if isinstance(record, Bad):
            yield number, record
        else:
            yield number, {canonical: record.get(name) for canonical, name in columns.wanted().items()}


def _first_objects(path: Path) -> list[dict[str, Any]]:
    return [record for _, record in islice(_records(path), _FIRST) if isinstance(record, dict)]


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _parse(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)


def _parse(line: bytes) -> dict[str, Any] | Bad:
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError:
        return Bad("not UTF-8", "the line is not UTF-8")
    except json.JSONDecodeError as error:
        return Bad("broken JSON", f"the line is not valid JSON ({error.msg}, column {error.colno})")
    return record if isinstance(record, dict) else Bad("broken JSON", "the line is not a JSON object")
