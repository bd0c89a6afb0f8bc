"""The two ways through each kind of file: whole, at pyarrow's speed, and row by row, with the place of each row."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from bertexp.data.find.columns import Columns, column_names
from bertexp.errors import DataError

LIST_SEPARATOR = "\x1f"  # between the labels of one row: ASCII's unit separator, which no name holds
_BLOCK_BYTES = 4 << 20
_TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)


class Bad(NamedTuple):
    """What is wrong with a row: one of a few reasons, and the details."""

    reason: str
    detail: str


Values = dict[str, object]  # canonical column name -> value as found
Located = tuple[str, "Values | Bad"]  # where the row stands, what it holds


# csv and tsv


def _csv_table(path: Path, columns: Columns) -> pa.Table:
    return _delimited_table(path, columns, pa.csv.ParseOptions(newlines_in_values=True))


def _tsv_table(path: Path, columns: Columns) -> pa.Table:
    return _delimited_table(path, columns, pa.csv.ParseOptions(delimiter="\t", quote_char=False))


def _delimited_table(path: Path, columns: Columns, parse_options: pa.csv.ParseOptions) -> pa.Table:
    wanted = columns.wanted()
    table = pa.csv.read_csv(
        path,
        pa.csv.ReadOptions(column_names=columns.header, block_size=_BLOCK_BYTES),
        parse_options,
        pa.csv.ConvertOptions(
            include_columns=list(wanted.values()),
            column_types=dict.fromkeys(wanted.values(), pa.string()),
            strings_can_be_null=False,  # a text may well be "NA" or "null"
        ),
    )
    return table.rename_columns(list(wanted))


def _csv_rows(path: Path, columns: Columns) -> Iterator[Located]:
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield from _delimited_rows(path, columns, _csv_records(file))


def _csv_records(file: TextIO) -> Iterator[tuple[int, list[str] | Bad]]:
    reader = csv.reader(file, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, Bad("broken quotes", f"the row is not valid csv, perhaps a quote is not closed ({error})")


def _tsv_rows(path: Path, columns: Columns) -> Iterator[Located]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = (line.rstrip("\r\n") for line in file)
        records = ((number, line.split("\t") if line else []) for number, line in enumerate(lines, start=1))
        yield from _delimited_rows(path, columns, records)


def _delimited_rows(path: Path, columns: Columns, records: Iterator[tuple[int, list[str] | Bad]]) -> Iterator[Located]:
    header = columns.header or next(fields for _, fields in records if fields)
    places = {canonical: header.index(name) for canonical, name in columns.wanted().items()}
    for line, fields in records:
        where = f"{path}:{line}"
        if isinstance(fields, Bad):
            yield where, fields
        elif fields and len(fields) != len(header):
            yield where, Bad("wrong column count", f"the row has {len(fields)} columns instead of {len(header)}")
        elif fields:
            yield where, {canonical: fields[place] for canonical, place in places.items()}


# jsonl


def _jsonl_table(path: Path, columns: Columns) -> pa.Table:
    wanted = columns.wanted()
    schema = {name: pa.string() for name in wanted.values()}
    if columns.label is not None:
        labels = (values["label"] for _, values in islice(_jsonl_rows(path, columns), 100) if isinstance(values, dict))
        first = next((label for label in labels if label is not None), None)
        kinds = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), list: pa.list_(pa.string())}
        schema[columns.label] = kinds.get(type(first), pa.string())
    options = pa.json.ParseOptions(explicit_schema=pa.schema(schema), unexpected_field_behavior="ignore")
    table = pa.json.read_json(path, pa.json.ReadOptions(block_size=_BLOCK_BYTES), options)
    return table.select(list(wanted.values())).rename_columns(list(wanted))


def _jsonl_rows(path: Path, columns: Columns) -> Iterator[Located]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError:
                yield where, Bad("not UTF-8", "the line is not UTF-8")
            except json.JSONDecodeError as error:
                yield where, Bad("broken JSON", f"the line is not valid JSON ({error.msg}, column {error.colno})")
            else:
                if isinstance(record, dict):
                    yield where, {canonical: record.get(name) for canonical, name in columns.wanted().items()}
                else:
                    yield where, Bad("broken JSON", "the line is not a JSON object")


# parquet


def _parquet_table(path: Path, columns: Columns) -> pa.Table:
    import pyarrow.parquet as pq

    wanted = columns.wanted()
    table = pq.read_table(path, columns=list(wanted.values())).select(list(wanted.values()))
    table = table.rename_columns(list(wanted))
    for name in ("text", "text_pair"):
        if name in wanted and not any(is_text(table.schema.field(name).type) for is_text in _TEXT_TYPES):
            raise DataError(
                f"column {wanted[name]!r} of {path} holds {table.schema.field(name).type} and no texts; name another "
                f"one with dataset.{name}_column (columns: {', '.join(column_names(path, 'parquet'))})"
            )
    types = {name: pa.string() for name in wanted}
    if "label" in wanted and pa.types.is_nested(table.schema.field("label").type):
        types["label"] = pa.list_(pa.string())
    return table.cast(pa.schema(list(types.items())))


def _parquet_rows(path: Path, columns: Columns) -> Iterator[Located]:
    import pyarrow.parquet as pq

    wanted = columns.wanted()
    number = 0
    for batch in pq.ParquetFile(path).iter_batches(columns=list(wanted.values())):
        for row in range(batch.num_rows):
            number += 1
            where = f"{path}, row {number}"
            try:
                yield where, {canonical: batch[name][row].as_py() for canonical, name in wanted.items()}
            except UnicodeDecodeError:
                yield where, Bad("not UTF-8", "the row is not UTF-8")


# folders


def folder_rows(folder: Path, names: Sequence[str] = ()) -> Iterator[Located]:
    """Yields the texts below ``folder/<class>``, of the classes ``names`` or of all."""
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if names and class_folder.name not in names:
            continue
        for path in sorted(class_folder.glob("*.txt")):
            try:
                yield str(path), {"text": path.read_bytes().decode("utf-8-sig"), "label": class_folder.name}
            except UnicodeDecodeError:
                yield str(path), Bad("not UTF-8", "the text is not UTF-8")


READERS = {
    "csv": (_csv_table, _csv_rows),
    "tsv": (_tsv_table, _tsv_rows),
    "jsonl": (_jsonl_table, _jsonl_rows),
    "parquet": (_parquet_table, _parquet_rows),
}
