"""The texts that a model is asked about: from the command line, from lines, from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.spec import FORMATS, Bad, Columns, column_names, format_of, load_format, place_of
from bertexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[str, ...]  # one text, or two
Words = list[str]  # of a sentence


class Asked(NamedTuple):
    """Rows to answer, and the table that they stand in, if they do in one."""

    rows: list[Row] | list[Words]
    table: pa.Table | None = None


def read_file(path: Path, columns: Sequence[str]) -> Asked:
    """Reads texts from csv, tsv, jsonl or parquet by column name, from any other file one row a line.

    Raises:
        DataError: the file cannot be read, lacks a column or holds an empty cell.
    """
    if path.suffix in (".conll", ".json"):
        raise DataError(
            f"--file {path} is no list of texts; give a csv, tsv, jsonl or parquet file, or one text a line"
        )
    if format_of(path) not in FORMATS:
        try:
            return Asked(from_lines(path.read_text(encoding="utf-8-sig").splitlines(), len(columns), str(path)))
        except UnicodeDecodeError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
    text, pair = (*columns, None)[:2]
    table = _read_table(path, Columns(text, pair, label=None), "--text-column and --pair-column")
    rows = list(zip(*(table[column].to_pylist() for column in columns), strict=True))
    for number, row in enumerate(rows, start=1):
        if not all(isinstance(text, str) for text in row):
            raise DataError(f"{path} holds no text in row {number}: {row}")
    return Asked(rows, table)


def read_words(path: Path, column: str) -> Asked:
    """Reads sentences in words, for a tagger: lists in a column of jsonl or parquet, or the first column of a .conll file.

    Raises:
        DataError: the file cannot be read, lacks the column or holds something else.
    """
    format = FORMATS.get(format_of(path))
    if format is not None and format.has_lists:
        table = _read_table(path, Columns(None, label=column), "--words-column")
        rows = table[column].to_pylist()
        for number, words in enumerate(rows, start=1):
            if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
                raise DataError(f"{path} holds no list of words in row {number}: {words!r}")
        return Asked(rows, table)
    if path.suffix != ".conll":
        raise DataError(f"--words-column reads lists of words, and {path} has none; give a jsonl or parquet file")
    from bertexp.data.formats.conll import read_sentences

    sentences: list[Words] = []
    for number, sentence in read_sentences(path, DatasetConfig(), needs_tags=False):
        if isinstance(sentence, Bad):
            raise DataError(f"{place_of(path, number)}: {sentence.detail}")
        sentences.append(sentence.words)
    return Asked(sentences)


def _read_table(path: Path, columns: Columns, settings: str) -> pa.Table:
    """The rows of a file that has ``columns``, its other columns too; ``settings`` are what names others."""
    from pyarrow import ArrowException

    present = column_names(path)
    missing = [name for name in columns.wanted().values() if name not in present]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}, only {', '.join(present)}: name the right ones with {settings}"
        )
    try:
        table = load_format(path).read_table(path, columns, others=True)
    except (ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not table.num_rows:
        raise DataError(f"{path} holds no text to answer")
    return table


def from_words(words: Sequence[str], inputs: Sequence[str]) -> list[Row]:
    """One row a word of the command line, or a row of two words where the model has two ``inputs``."""
    if len(inputs) == 1:
        return [(word,) for word in words]
    if len(words) % 2:
        wanted = '" "'.join(inputs)
        raise DataError(f'this model reads two texts at a time: give "{wanted}", not {len(words)} texts')
    return list(zip(words[::2], words[1::2], strict=True))


def from_lines(lines: Iterable[str], n_texts: int, source: str) -> list[Row]:
    """One row a line; two texts are parted by a tab."""
    rows = [tuple(line.split("\t")) if n_texts == 2 else (line,) for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != n_texts:
            raise DataError(
                f"line {number} of {source} must hold two texts parted by a tab, since the model reads pairs"
            )
    if not rows:
        raise DataError(f"{source} holds no text to answer")
    return rows
