"""What csv and tsv share: a header line, and rows of as many fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bertexp.data.formats.spec import Bad, Columns, Row

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.csv import ParseOptions

_BLOCK_BYTES = 4 << 20


def open_text(path: Path) -> TextIO:
    """Opens a file of which bytes that are not UTF-8 become surrogates, so that the row they stand in can be told."""
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_delimited(path: Path, columns: Columns, parse_options: ParseOptions, others: bool) -> pa.Table:
    """Reads all rows; the wanted columns are <string>."""
    import pyarrow as pa
    from pyarrow import csv

    wanted = list(columns.wanted().values())
    convert_options = csv.ConvertOptions(
        include_columns=None if others else wanted,
        column_types=dict.fromkeys(wanted, pa.string()),
        strings_can_be_null=False,  # a text may well be "NA" or "null"
    )
    read_options = csv.ReadOptions(column_names=columns.header, block_size=_BLOCK_BYTES)
    return csv.read_csv(path, read_options, parse_options, convert_options)


def pick_fields(columns: Columns, records: Iterable[tuple[int, list[str] | Bad]]) -> Iterator[Row]:
    """Yields the wanted fields of numbered records, of which the first is the header unless ``columns`` has one."""
    records = ((line, fields) for line, fields in records if fields)
    header = columns.header or next(fields for _, fields in records)
    indices = {canonical: header.index(name) for canonical, name in columns.wanted().items()}
    for line, fields in records:
        if isinstance(fields, Bad):
            yield line, fields
        elif len(fields) != len(header):
            yield line, Bad("wrong column count", f"the row has {len(fields)} columns instead of {len(header)}")
        else:
            yield line, {canonical: fields[index] for canonical, index in indices.items()}
