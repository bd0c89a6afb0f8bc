"""What csv and tsv share: a header line, and rows of as many fields."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bertexp.data.formats.spec import Bad, Columns, Row
from bertexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 4 << 20


class Delimited:
    """A ``FormatModule`` for fields with a delimiter between them.

    Args:
        quote: stands around fields that may then hold delimiters and line breaks; False: quotes are plain characters.
    """

    def __init__(self, delimiter: str, quote: str | Literal[False]):
        self._delimiter, self._quote = delimiter, quote

    def column_names(self, path: Path) -> tuple[str, ...]:
        """Reads the header."""
        line, fields = next(self._records(path), (1, []))
        if isinstance(fields, Bad):
            raise DataError(f"{path}:{line}: {fields.detail}")
        return tuple(fields)

    def read_table(self, path: Path, columns: Columns, others: bool = False) -> pa.Table:
        """Reads all rows; the wanted columns are <string>."""
        import pyarrow as pa
        from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

        wanted = list(columns.wanted().values())
        parse_options = ParseOptions(
            delimiter=self._delimiter, quote_char=self._quote, newlines_in_values=bool(self._quote)
        )
        convert_options = ConvertOptions(
            include_columns=None if others else wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,  # a text may well be "NA" or "null"
        )
        read_options = ReadOptions(column_names=columns.header, block_size=_BLOCK_BYTES)
        return read_csv(path, read_options, parse_options, convert_options)

    def read_rows(self, path: Path, columns: Columns) -> Iterator[Row]:
        """Reads row by row."""
        records = self._records(path)
        header = columns.header or next(fields for _, fields in records)
        indices = {canonical: header.index(name) for canonical, name in columns.wanted().items()}
        for line, fields in records:
            if isinstance(fields, Bad):
                yield line, fields
            elif len(fields) != len(header):
                yield line, Bad("wrong column count", f"the row has {len(fields)} columns instead of {len(header)}")
            else:
                yield line, {canonical: fields[index] for canonical, index in indices.items()}

    def _records(self, path: Path) -> Iterator[tuple[int, list[str] | Bad]]:
        """Yields the fields of each row that is not blank, and the number of its first line.

        Bytes that are not UTF-8 become surrogates, so that the row they stand in can be told.
        """
        csv.field_size_limit(sys.maxsize)
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE
            reader = csv.reader(file, delimiter=self._delimiter, quoting=quoting, strict=True)
            fields: list[str] | Bad | None = []
            while fields is not None:
                line = reader.line_num + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    fields = Bad("broken quotes", f"the row is not valid csv, perhaps a quote is not closed ({error})")
                if fields:
                    yield line, fields
