"""From the word pieces of single words to those of sentences, and which piece carries a word's tag. NumPy, no loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bertexp.data.tokens.packing import TokenColumn

UNLABELLED = -2  # stands for the tag of a word that has none; -1 stands at positions without a word


class WordPieces(NamedTuple):
    """Sentences as word pieces.

    column: the pieces of each sentence.
    words: <int64>[n_rows + 1]; sentence ``i`` has the words ``words[i]`` to ``words[i + 1]``.
    firsts: <int64>[n_words + 1], index of each word's first piece in ``column.values``.
    """

    column: TokenColumn
    words: np.ndarray
    firsts: np.ndarray


def join_words(pieces: TokenColumn, words: np.ndarray, unk_id: int) -> WordPieces:
    """Joins words to sentences; a word that the tokenizer made nothing of becomes ``unk_id``, so that none is lost.

    Args:
        pieces: of each word, a row a word.
        words: <int64>[n_rows + 1], as in ``WordPieces``.
    """
    counts = np.maximum(pieces.lengths, 1)
    firsts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    values = pieces.values
    if len(values) < firsts[-1]:
        values = np.full(firsts[-1], unk_id, np.int32)
        filled = np.ones(len(values), bool)
        filled[firsts[:-1][pieces.lengths == 0]] = False
        values[filled] = pieces.values
    return WordPieces(TokenColumn(values, firsts[words]), np.asarray(words, np.int64), firsts)


def place_tags(
    sentences: WordPieces, tags: np.ndarray, rows: np.ndarray, max_length: int, width: int | None = None
) -> np.ndarray:
    """Puts each word's tag where its first piece stands in the packed row ([CLS] is position 0), -1 everywhere else.

    Args:
        tags: <int32>[n_words].
        rows: <int>[batch].
        max_length: longest row, special tokens included; ``packing.py`` cuts what comes after.
        width: of the batch as packed, then words that were cut are left out. None: they follow from position
            ``max_length`` on, one after the other, so that none escapes a metric.

    Returns:
        <int32>[batch, seq].
    """
    rows = np.asarray(rows, np.int64)
    counts = sentences.words[rows + 1] - sentences.words[rows]
    ends = np.cumsum(counts)
    row = np.repeat(np.arange(len(rows)), counts)
    number = np.arange(len(row)) - np.repeat(ends - counts, counts)  # of the word in its sentence
    word = sentences.words[rows][row] + number
    position = sentences.firsts[word] - sentences.column.offsets[rows][row] + 1
    cut = position > max_length - 2
    if width is None:
        kept = np.bincount(row[~cut], minlength=len(rows))
        position = np.where(cut, max_length + number - kept[row], position)
        cut = np.zeros_like(cut)
        width = int(position.max(initial=0)) + 1
    placed = np.full((len(rows), width), -1, np.int32)
    placed[row[~cut], position[~cut]] = tags[word[~cut]]
    return placed
