"""Parquet: columns with types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.data.formats.spec import Bad, Columns, Row
from bertexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


def column_names(path: Path, columns: Columns) -> tuple[str, ...]:
    """Reads the schema."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return tuple(parquet.read_schema(path).names)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is not a parquet file ({error})") from error


def said(path: Path, columns: Columns) -> list[str]:
    """Nothing: the file says of itself how it is written."""
    return []


def read_table(path: Path, columns: Columns, others: bool = False) -> pa.Table:
    """Reads all rows at once."""
    from pyarrow import parquet

    # `parquet.read_table` would add columns that the names of folders such as label=1 spell
    return parquet.ParquetFile(path).read(columns=None if others else list(columns.wanted().values()))


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Reads row by row."""
    from pyarrow import parquet

    wanted = columns.wanted()
    number = 0
    for batch in parquet.ParquetFile(path).iter_batches(columns=list(wanted.values())):
        for index in range(batch.num_rows):
            number += 1
            try:
                yield number, {canonical: batch[name][index].as_py() for canonical, name in wanted.items()}
            except UnicodeDecodeError:
                yield number, Bad("not UTF-8", "the row is not UTF-8")
