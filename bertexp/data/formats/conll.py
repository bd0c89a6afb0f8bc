"""Sentences of tagged words, one after the other: from CoNLL files (a word a line), jsonl and parquet (lists of words)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice, pairwise
from pathlib import Path
from typing import NamedTuple

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.spec import Bad, Columns, check_columns, column_names, is_utf8, known_format, place_of
from bertexp.data.formats.text import open_text, said_of_encoding
from bertexp.errors import DataError

_DOCUMENT = "-DOCSTART-"  # stands between the documents of CoNLL-2003
_USUAL = {"words": ("words", "tokens"), "tags": ("tags", "ner_tags")}  # names of columns
_LINES_SEEN = 100  # to find how they are made
_ID = re.compile(r"\d+(?:([-.])\d+)?")  # as CoNLL-U numbers words and, by two numbers, what is no word
_KINDS = {None: "word", "-": "range", ".": "empty node"}
_CONLLU_COLUMNS, _PARTS_OF_SPEECH = 10, 3  # how many CoNLL-U has, and the one that is most often wanted of them


class Sentence(NamedTuple):
    """Words and their tags; ``tags=None`` where the file has none."""

    words: list[str]
    tags: list[str] | None


Line = tuple[int, str]
Numbered = tuple[int, "Sentence | Bad"]  # line of the first word or of the mistake (parquet: the row), from 1


def read_sentences(
    path: Path, config: DatasetConfig, needs_tags: bool, notes: list[str] | None = None
) -> Iterator[Numbered]:
    """Yields the sentences of a file, mistakes included.

    Args:
        config: ``words_column`` and ``tags_column``.
        needs_tags: false for a test file, which may have no tags.
        notes: when all are read, it also holds what was found and left out in the file, a sentence each.

    Raises:
        DataError: a column is missing.
    """
    read = _table_rows if known_format(path).has_lists else _conll_rows
    for number, sentence in read(path, config, needs_tags, [] if notes is None else notes):
        yield number, sentence if isinstance(sentence, Bad) else _checked(sentence)


def place_of_word(path: Path, number: int, word: int) -> str:
    """Names the place of a word (from 0) in the sentence that ``read_sentences`` yielded with ``number``."""
    if known_format(path).has_lists:
        return f"{place_of(path, number)}, word {word + 1}"
    layout = _layout(path, DatasetConfig(), needs_tags=False)
    lines = (at for at, line in chain.from_iterable(_blocks(path)) if at >= number and layout.kind(line) == "word")
    return place_of(path, next(islice(lines, word, None)))


def _checked(sentence: Sentence) -> Sentence | Bad:
    words, tags = sentence
    if not words:
        return Bad("no words", "the sentence has no words")
    if not all(isinstance(word, str) and word.strip(" ") for word in words):
        return Bad("empty word", "a word is empty")
    if tags is not None and len(tags) != len(words):
        return Bad("words without tags", f"{len(words)} words have {len(tags)} tags")
    if tags is not None and not all(tags):
        return Bad("no tag", f"the word {words[tags.index('')]!r} has no tag")
    return sentence if is_utf8(*words, *(tags or ())) else Bad("not UTF-8", "the sentence is not UTF-8")


# CoNLL


class _Layout(NamedTuple):
    """How the lines of a file are made."""

    separator: str | None  # a tab; None: spaces
    has_ids: bool = False  # whether the first column numbers the words of each sentence, as in CoNLL-U
    columns: int = 0
    word: int = 0
    tag: int | None = None

    def split(self, line: str) -> list[str]:
        return line.split("\t") if self.separator else [field for field in line.split(" ") if field]

    def kind(self, line: str) -> str:
        """Returns ``word``, ``comment`` or, in CoNLL-U, ``range`` or ``empty node``.

        A range (1-2) is how words are written that are one to the eye; an empty node (8.1) is understood and not written.
        Where spaces part the columns, a line like a comment may be a word.
        """
        if self.has_ids:
            number = _ID.fullmatch(line.partition("\t")[0])
            return "comment" if line.startswith("#") else _KINDS[number[1] if number else None]
        is_comment = self.separator is not None and line.startswith("# ") and self.separator not in line
        return "comment" if is_comment else "word"


def _conll_rows(path: Path, config: DatasetConfig, needs_tags: bool, notes: list[str]) -> Iterator[Numbered]:
    layout = _layout(path, config, needs_tags)
    notes += said_of_encoding(path)
    kinds: Counter[str] = Counter()
    for block in _blocks(path):
        lines = []
        for number, line in block:
            kinds[kind := layout.kind(line)] += 1
            if kind == "word":
                lines.append((number, line))
        if lines:
            yield _sentence(lines, layout)
    if layout.has_ids:
        tags = "" if layout.tag is None else f" and tags from column {layout.tag}"
        others = (
            f"{kinds['range']:,} ranges such as 1-2 and {kinds['empty node']:,} empty nodes such as 8.1 are no words"
        )
        notes.append(f"{path} numbers its words, as CoNLL-U does: words come from column {layout.word}{tags}; {others}")


def _sentence(lines: list[Line], layout: _Layout) -> Numbered:
    rows = [layout.split(line) for _, line in lines]
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != layout.columns:
            return number, Bad("wrong column count", f"the line has {len(row)} columns instead of {layout.columns}")
        if not row[layout.word].strip(" ") or (layout.tag is not None and not row[layout.tag].strip(" ")):
            return number, Bad("empty word", "the line has no word or no tag")
    tags = None if layout.tag is None else [row[layout.tag].strip(" ") for row in rows]
    return lines[0][0], Sentence([row[layout.word] for row in rows], tags)


def _blocks(path: Path) -> Iterator[list[Line]]:
    """Yields the lines between blank ones; a line of spaces and tabs is blank, too."""
    with open_text(path, newline="\n") as file:
        lines = enumerate((line.rstrip("\r\n") for line in file), start=1)
        for is_blank, block in groupby(lines, lambda line: not line[1].strip(" \t") or line[1].startswith(_DOCUMENT)):
            if not is_blank:
                yield list(block)


def _layout(path: Path, config: DatasetConfig, needs_tags: bool) -> _Layout:
    """Finds how the lines are made from the first of them.

    Raises:
        DataError: the file is empty, has no tags or lacks a column.
    """
    lines = list(islice(chain.from_iterable(_blocks(path)), _LINES_SEEN))
    if not lines:
        raise DataError(f"{path} is empty")
    layout = _Layout("\t" if any("\t" in line for _, line in lines) else None, _has_ids([line for _, line in lines]))
    number, first = next(((number, line) for number, line in lines if layout.kind(line) == "word"), lines[0])
    columns, place = len(layout.split(first)), f"{path}:{number}"
    word, tag = _column("words_column", config.words_column, int(layout.has_ids), columns, place), None
    if columns > 1 or config.tags_column is not None:
        usual = _PARTS_OF_SPEECH if layout.has_ids and columns == _CONLLU_COLUMNS else -1
        tag = _column("tags_column", config.tags_column, usual, columns, place)
    elif needs_tags:
        raise DataError(f"{place} has a single column and so no tags; part word and tag by a tab or space")
    if word == tag:
        raise DataError(f"{path}: words and tags are both said to stand in column {word}; name two different ones")
    return _Layout(layout.separator, layout.has_ids, columns, word, tag)


def _has_ids(lines: Sequence[str]) -> bool:
    """Whether the first column numbers words: of ten columns, as in CoNLL-U, in any way, else 1, 2, 3 and again from 1."""
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    columns = min(map(len, rows), default=0)
    if columns < 3 or not all(_ID.fullmatch(row[0]) for row in rows):
        return False
    ids = [int(row[0]) for row in rows if row[0].isdecimal()]
    return columns == _CONLLU_COLUMNS or (2 in ids and all(one in (1, last + 1) for last, one in pairwise([0, *ids])))


def _column(setting: str, value: str | None, default: int, columns: int, place: str) -> int:
    """Returns a column's number, from 0."""
    wanted = str(default) if value is None else value
    if not re.fullmatch(r"-?\d+", wanted) or not -columns <= int(wanted) < columns:
        raise DataError(
            f"dataset.{setting}={wanted} is not a column of {place}; its {columns} columns are counted from 0 (the last is -1)"
        )
    return int(wanted) % columns


# jsonl and parquet


def _table_rows(path: Path, config: DatasetConfig, needs_tags: bool, notes: list[str]) -> Iterator[Numbered]:
    present = column_names(path)
    words = config.words_column or next((name for name in _USUAL["words"] if name in present), "words")
    tags = config.tags_column or next((name for name in _USUAL["tags"] if name in present), "tags")
    columns = Columns(words, None, tags if needs_tags or tags in present else None)
    module = check_columns(path, columns)
    for number, values in module.read_rows(path, columns):
        yield number, values if isinstance(values, Bad) else _from_lists(values, columns)


def _from_lists(values: dict[str, object], columns: Columns) -> Sentence | Bad:
    words, tags = values["text"], values.get("label")
    if not isinstance(words, list):
        return Bad("no words", f"{columns.text} is not a list of words but {words!r}"[:200])
    if columns.label is None:
        return Sentence(words, None)
    if not isinstance(tags, list) or not all(isinstance(tag, (str, int)) for tag in tags):
        return Bad("no tag", f"{columns.label} is not a list of tags but {tags!r}"[:200])
    return Sentence(words, [str(tag).strip() for tag in tags])
