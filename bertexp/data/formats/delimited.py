"""What csv and tsv share: a header line, and rows of as many fields."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bertexp.data.formats.spec import Bad, Columns, Row
from bertexp.data.formats.text import open_text, read_utf8, said_of_encoding
from bertexp.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BLOCK_BYTES = 4 << 20


class Delimited:
    """A ``FormatModule`` for fields with a delimiter between them.

    Args:
        others: delimiters that take its place where the header line holds a single one of them and not the usual one.
        quote: stands around fields that may then hold delimiters and line breaks; False: quotes are plain characters.
    """

    def __init__(self, delimiter: str, quote: str | Literal[False], others: str = ""):
        self._delimiter, self._quote, self._others = delimiter, quote, others

    def column_names(self, path: Path, columns: Columns) -> tuple[str, ...]:
        """Reads the header."""
        line, fields = next(self._records(path, columns), (1, []))
        if isinstance(fields, Bad):
            raise DataError(f"{path}:{line}: {fields.detail}")
        return tuple(fields)

    def said(self, path: Path, columns: Columns) -> list[str]:
        """An encoding and a separator that were found."""
        separator = self._separator(path, columns)
        found = separator != (columns.separator or self._delimiter)
        header = [f"{path}: cells are parted by {separator!r}, as its header shows"] if found else []
        return said_of_encoding(path, columns.encoding) + header

    def read_table(self, path: Path, columns: Columns, others: bool = False) -> pa.Table:
        """Reads all rows; the wanted columns are <string>."""
        import pyarrow as pa
        from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

        content = read_utf8(path, columns.encoding)
        self._refuse_broken_quotes(path, columns, content)
        wanted = list(columns.wanted().values())
        parse_options = ParseOptions(
            delimiter=self._separator(path, columns), quote_char=self._quote, newlines_in_values=bool(self._quote)
        )
        convert_options = ConvertOptions(
            include_columns=None if others else wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,  # a text may well be "NA" or "null"
        )
        read_options = ReadOptions(column_names=columns.header, block_size=_BLOCK_BYTES)
        return read_csv(pa.BufferReader(content), read_options, parse_options, convert_options)

    def read_rows(self, path: Path, columns: Columns) -> Iterator[Row]:
        """Reads row by row."""
        records = self._records(path, columns)
        header = columns.header or next(fields for _, fields in records)
        indices = {canonical: header.index(name) for canonical, name in columns.wanted().items()}
        for line, fields in records:
            if isinstance(fields, Bad):
                yield line, fields
            elif len(fields) != len(header):
                yield line, Bad("wrong column count", f"the row has {len(fields)} columns instead of {len(header)}")
            else:
                yield line, {canonical: fields[index] for canonical, index in indices.items()}

    def _separator(self, path: Path, columns: Columns) -> str:
        if columns.separator or columns.header or not self._others:
            return columns.separator or self._delimiter
        with open_text(path, columns.encoding) as text:
            header = next((line for line in text if line.strip()), "")
        found = [one for one in self._delimiter + self._others if one in header]
        return found[0] if len(found) == 1 else self._delimiter

    def _records(self, path: Path, columns: Columns) -> Iterator[tuple[int, list[str] | Bad]]:
        """Yields the fields of each row that is not blank, and the number of its first line.

        Of a row with broken quotes every line is bad, since nobody knows how many rows they were. Bytes that are not UTF-8
        become surrogates, so that the row they stand in can be told.
        """
        csv.field_size_limit(sys.maxsize)
        separator = self._separator(path, columns)
        with open_text(path, columns.encoding) as file:
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE
            reader = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
            fields: list[str] | None = []
            while fields is not None:
                line = reader.line_num + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    bad = Bad("broken quotes", _why_broken(line, reader.line_num, error))
                    yield from ((number, bad) for number in range(line, reader.line_num + 1))
                    continue
                if fields:
                    yield line, fields

    def _refuse_broken_quotes(self, path: Path, columns: Columns, content: bytes | mmap) -> None:
        """Raises ``pa.ArrowInvalid`` where a quoted field does not end with its quote: pyarrow reads on without a word."""
        import numpy as np
        import pyarrow as pa

        if not self._quote or not content:
            return
        if _are_in_place(np.frombuffer(content, np.uint8), self._separator(path, columns)):
            return
        if any(
            isinstance(fields, Bad) for _, fields in self._records(path, columns)
        ):  # quotes in the midst of a field are fine
            raise pa.ArrowInvalid("broken quotes")


def _why_broken(first: int, last: int, error: csv.Error) -> str:
    read = f", read up to line {last}," if last > first else ""
    return f"the row{read} is not valid csv: a quote is not closed, or one inside a text is not doubled ({error})"


def _are_in_place(content: np.ndarray, delimiter: str) -> bool:
    """Whether each quote of a file opens a field, closes one or stands doubled in one: no reader can err about those.

    Of such quotes every other one opens, and one that is doubled closes and opens.

    Args:
        content: <uint8>[bytes].
    """
    import numpy as np

    places = [
        start + np.flatnonzero(content[start : start + _BLOCK_BYTES] == ord('"'))
        for start in range(0, len(content), _BLOCK_BYTES)
    ]
    quotes = np.concatenate(places)
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    first = 3 if content[:3].tobytes() == b"\xef\xbb\xbf" else 0  # behind a byte-order mark
    neighbours = np.concatenate(
        [content[opening[opening > first] - 1], content[closing[closing < len(content) - 1] + 1]]
    )
    return bool(np.isin(neighbours, np.frombuffer(f'{delimiter}\r\n"'.encode(), np.uint8)).all())
