"""Which columns of a file hold text and label; found by reading no more than the file's beginning.

Standard library only (parquet excepted), so that a wrong column name is an answer in milliseconds.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bertexp.errors import DataError, did_you_mean

KINDS = ("csv", "tsv", "jsonl", "parquet")
_JSON_RECORDS = 100  # looked at for their keys: a record may lack one


@dataclass(frozen=True)
class Columns:
    """The columns to read; ``label=None`` for a file without labels."""

    text: str = "text"
    text_pair: str | None = None
    label: str | None = "label"
    header: tuple[str, ...] | None = None  # of a file that has no header line

    def wanted(self) -> dict[str, str]:
        """Returns the canonical name and the file's name of each column to read."""
        names = {"text": self.text, "text_pair": self.text_pair, "label": self.label}
        return {canonical: name for canonical, name in names.items() if name is not None}


def kind_of(path: Path) -> str:
    """Returns ``csv``, ``tsv``, ``jsonl`` or ``parquet``.

    Raises:
        DataError: the file's extension is another one.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise DataError(f"{path} is not a .csv, .tsv, .jsonl or .parquet file{did_you_mean(kind, KINDS)}")
    return kind


def column_names(path: Path, kind: str) -> tuple[str, ...]:
    """Returns the names in a file's header, schema or first records.

    Raises:
        DataError: the file is empty or its beginning cannot be read.
    """
    try:
        if kind == "parquet":
            return _parquet_names(path)
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            if kind == "jsonl":
                return _json_names(path, file)
            rows = csv.reader(file, strict=True) if kind == "csv" else (line.split("\t") for line in _lines(file))
            header = next((row for row in rows if row), None)
        "".join(header or ()).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path} is not UTF-8 text; convert it, for example with iconv") from error
    except csv.Error as error:
        raise DataError(f"{path}:1: the header is not valid csv ({error})") from error
    if header is None:
        raise DataError(f"{path} is empty")
    return tuple(header)


def check_columns(path: Path, kind: str, columns: Columns) -> None:
    """Checks that the wanted columns are there.

    Raises:
        DataError: one is missing or there twice; names the columns there are and the setting to change.
    """
    present = columns.header or column_names(path, kind)
    wanted = columns.wanted()
    if len(set(wanted.values())) < len(wanted):
        raise DataError(f"text, text_pair and label must be different columns, not {', '.join(wanted.values())}")
    for canonical, name in wanted.items():
        if name not in present:
            raise DataError(
                f"{path} has no column {name!r}; its columns are {', '.join(map(repr, present))}: name the right one "
                f"with dataset.{canonical}_column{did_you_mean(name, present)}"
            )
        if present.count(name) > 1:
            raise DataError(f"{path} has more than one column {name!r}; rename all but one")


def _lines(file: Iterable[str]) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in file if line.strip("\r\n"))


def _json_names(path: Path, file: Iterable[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for line in islice(_lines(file), _JSON_RECORDS):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # the reader says where and what
        if isinstance(record, dict):
            names |= dict.fromkeys(record)
    if not names:
        raise DataError(f"{path} holds no JSON objects, one a line")
    return tuple(names)


def _parquet_names(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a parquet file ({error})") from error
