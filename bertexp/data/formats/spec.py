"""The formats of rows with named columns, and what a module of this folder has for one. Standard library only."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

from bertexp.errors import DataError, did_you_mean

if TYPE_CHECKING:  # pyarrow loads when rows are read
    import pyarrow as pa


@dataclass(frozen=True)
class Format:
    """What is known of a format without its module."""

    counts: str = "line"  # what the numbers of its rows count, from 1: line | row
    has_lists: bool = False  # whether a cell can be a list: of classes, words or tags
    has_header: bool = False  # whether a first line names the columns, which a separator parts


FORMATS = {  # extension of the files and module in this folder
    "csv": Format(has_header=True),
    "tsv": Format(has_header=True),
    "jsonl": Format(has_lists=True),
    "parquet": Format(counts="row", has_lists=True),
}
COMPRESSED = (".gz", ".zst")  # endings that may follow the one of a format of lines


@dataclass(frozen=True)
class Columns:
    """The columns to read; ``label=None`` for a file without labels."""

    text: str | None = "text"
    text_pair: str | None = None
    label: str | None = "label"
    header: tuple[str, ...] | None = None  # of a file that has no header line
    format: str | None = None  # one of FORMATS; None: as the file's name says
    separator: str | None = None  # between cells; None: the format's own, or what the header shows
    encoding: str | None = None  # of the text; None: UTF-8, or as a byte-order mark says

    def wanted(self) -> dict[str, str]:
        """Returns the canonical name and the file's name of each column to read."""
        names = {"text": self.text, "text_pair": self.text_pair, "label": self.label}
        return {canonical: name for canonical, name in names.items() if name is not None}


_USUAL = Columns()


class Bad(NamedTuple):
    """What is wrong with a row: one of a few reasons, and the details."""

    reason: str
    detail: str


Kind = TypeVar("Kind")
Values = dict[str, object]  # canonical column name -> value as it stands in the file
Row = tuple[int, "Values | Bad"]  # number of the line or row, from 1, and what it holds


class FormatModule(Protocol):
    """The two ways through a file, whole at pyarrow's speed and row by row, and the names of its columns.

    pyarrow is imported within the functions: a wrong column name is then an answer in milliseconds.
    """

    def column_names(self, path: Path, columns: Columns) -> tuple[str, ...]:
        """Reads the names from the file's beginning; none of an empty file. Raises DataError."""

    def said(self, path: Path, columns: Columns) -> list[str]:
        """What was found in the file's beginning of how it is written, and ``columns`` does not say: a sentence each."""

    def read_table(self, path: Path, columns: Columns, others: bool = False) -> pa.Table:
        """Reads all rows at once: the wanted columns under the file's names, with the file's types; ``others``: all columns.

        Raises ``pa.ArrowInvalid`` or ``UnicodeDecodeError`` for a file that must be read row by row to say what is wrong.
        """

    def read_rows(self, path: Path, columns: Columns) -> Iterator[Row]:
        """Yields row by row; a bad row does not end it."""


def format_of(path: Path) -> str:
    """What a file's name says of its format: ``csv`` of ``x.CSV`` and of ``x.csv.gz``."""
    name = Path(path.stem if path.suffix.lower() in COMPRESSED else path.name)
    return name.suffix.removeprefix(".").lower()


def known_format(path: Path) -> Format:
    """What is known of a file's format by its name; of an unknown one, that its rows are lines."""
    return FORMATS.get(format_of(path), Format())


def load_format(path: Path, format: str | None = None) -> FormatModule:
    """The module of ``format``, or of the one that the file's name tells.

    Raises:
        DataError: it names none.
    """
    name = format or format_of(path)
    if name not in FORMATS:
        *most, last = (f".{known}" for known in FORMATS)
        raise DataError(f"{path} is not a {', '.join(most)} or {last} file{did_you_mean(name, FORMATS)}")
    return cast(FormatModule, importlib.import_module(f"bertexp.data.formats.{name}"))


def column_names(path: Path, columns: Columns = _USUAL) -> tuple[str, ...]:
    """Returns the names in a file's header, schema or first records.

    Raises:
        DataError: the file is empty or its beginning cannot be read.
    """
    names = load_format(path, columns.format).column_names(path, columns)
    if not is_utf8(*names):
        raise DataError(f"{path} is no text in {columns.encoding or 'UTF-8'}; name its encoding: dataset.encoding")
    if not names:
        raise DataError(f"{path} is empty")
    return names


def check_columns(path: Path, columns: Columns) -> FormatModule:
    """Checks that the wanted columns are there, by the file's beginning alone.

    Returns:
        What reads them: the module of the file's format.

    Raises:
        DataError: one is missing or there twice; names the columns there are and the setting to change.
    """
    form = FORMATS.get(columns.format or format_of(path), Format())
    if (columns.separator or columns.header) and not form.has_header:
        raise DataError(f"dataset.separator and dataset.header are of csv and tsv files; leave them out with {path}")
    if columns.encoding and form.counts == "row":
        raise DataError(f"dataset.encoding is of files of text; leave it out with {path}")
    present = columns.header or column_names(path, columns)
    wanted = columns.wanted()
    if len(set(wanted.values())) < len(wanted):
        raise DataError(f"text, text_pair and label must be different columns, not {', '.join(wanted.values())}")
    others = _other_cures(columns, present) if form.has_header else ""
    for canonical, name in wanted.items():
        if name not in present:
            raise DataError(
                f"{path} has no column {name!r}; its columns are {', '.join(map(repr, present))}: name the right one "
                f"with dataset.{canonical}_column{did_you_mean(name, present)}{others}"
            )
        if present.count(name) > 1:
            raise DataError(f"{path} has more than one column {name!r}; rename all but one")
    return load_format(path, columns.format)


def _other_cures(columns: Columns, present: tuple[str, ...]) -> str:
    """What else may be wrong where a first line of cells holds none of the wanted names."""
    wanted = [*columns.wanted().values()]
    if columns.header or any(name in present for name in wanted):
        return ""
    names = ",".join([*wanted, "…"][: max(len(present), 2)])
    return f"; or what parts the cells, dataset.separator; or, if the first line is a row, all columns: dataset.header=[{names}]"


def place_of(path: Path, number: int) -> str:
    """Names the place of a row, as messages do."""
    counts = known_format(path).counts
    return f"{path}:{number}" if counts == "line" else f"{path}, {counts} {number}"


def is_utf8(*texts: str) -> bool:
    """Whether none of the texts holds half of a surrogate pair, which also stands for a byte that is not UTF-8."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


class Sieve:
    """Lets the good rows of a file pass; a bad one is an error, or is left out and counted.

    Args:
        noun: what one row is called.
        on_bad_row: ``error`` or ``skip``.
    """

    def __init__(self, path: Path, noun: str, on_bad_row: str):
        self._path, self._noun, self._skips = path, noun, on_bad_row == "skip"
        self.skipped: Counter[str] = Counter()  # reason -> rows left out

    def good(self, rows: Iterable[tuple[str, Kind | Bad]]) -> Iterator[Kind]:
        """Yields the good ones of rows that come with their places.

        Raises:
            DataError: a row is bad, and those are errors, or none is good.
        """
        left = 0
        for place, row in rows:
            if isinstance(row, Bad):
                self.take_out(place, row)
            else:
                left += 1
                yield row
        self.require(left)

    def take_out(self, place: str, bad: Bad, count: int = 1, more_cure: str = "") -> None:
        """Counts ``count`` rows that are bad for the same reason, the first of them at ``place``.

        Raises:
            DataError: bad rows are errors.
        """
        if not self._skips:
            cure = f"mend it, or leave such {self._noun}s out: dataset.on_bad_row=skip{more_cure}"
            raise DataError(f"{place}: {bad.detail}; {cure}")
        self.skipped[bad.reason] += count

    def require(self, left: int) -> None:
        """Raises ``DataError`` if no row is left."""
        if not left:
            counts = ", ".join(f"{count} {self._noun}s: {reason}" for reason, count in self.skipped.items())
            raise DataError(f"{self._path} holds no usable {self._noun}" + (f" ({counts})" if counts else ""))
