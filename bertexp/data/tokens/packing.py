"""From flat token ids to a padded BERT batch: truncation, special tokens, masks. NumPy only, no loop over rows.

The rule is stated once in words here and once more in graph operations in ``serving/saved_model/graph.py``; a test
holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SpecialIds = tuple[int, int, int]  # of [CLS], [SEP] and [PAD]
UNLIMITED = 1 << 31  # a maximum length that cuts no row


class TokenColumn(NamedTuple):
    """The token ids of one text column, all rows one after the other, without special tokens.

    values: <int32>[n_tokens]; row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
    offsets: <int64>[n_rows + 1].
    """

    values: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each row, <int64>[n_rows]."""
        return np.diff(self.offsets)


class Shape(NamedTuple):
    """How long a row may be, special tokens included, and which pieces of a longer one stay.

    long_text: truncate_head keeps the first pieces of each text, truncate_tail the last, head_tail a quarter of them from
        its head and the rest from its tail (Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", 128 of
        510 from the head).
    """

    max_length: int
    long_text: str = "truncate_head"

    def head_of(self, lengths: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """How many of the ``kept`` pieces of texts of ``lengths`` pieces come from the head, all <int64>[rows]."""
        if self.long_text == "truncate_tail":
            return np.where(kept < lengths, 0, kept)
        return np.where(kept < lengths, kept // 4, kept) if self.long_text == "head_tail" else kept


class AlignedTokens(NamedTuple):
    """Token ids as in ``TokenColumn``, each with the bytes of its text that it stands for.

    begins, ends: <int32>[n_tokens], in bytes of the row's own UTF-8 text, ascending in a row and always between two
    characters. Several tokens that begin in one character all stand for the whole of it.
    """

    values: np.ndarray
    offsets: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    @property
    def tokens(self) -> TokenColumn:
        """Without their bytes."""
        return TokenColumn(self.values, self.offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each row, <int64>[n_rows]."""
        return np.diff(self.offsets)


def kept_lengths(lengths: Sequence[np.ndarray], max_length: int) -> list[np.ndarray]:
    """How many tokens of each text survive truncation to ``max_length`` pieces, special tokens included.

    One text has all of it. Two texts share the budget B = max_length - 3 as tensorflow-text's RoundRobinTrimmer
    does: the shorter one stays whole up to half of it, the first gets the odd token.

    Args:
        lengths: one or two arrays <int>[n_rows].
        max_length: [CLS] and the one or two [SEP] included.

    Returns:
        One array <int64>[n_rows] for each text.
    """
    first = np.asarray(lengths[0], np.int64)
    if len(lengths) == 1:
        return [np.minimum(first, max_length - 2)]
    second = np.asarray(lengths[1], np.int64)
    budget = max_length - 3
    kept_first = np.minimum(first, np.maximum(budget - second, (budget + 1) // 2))
    return [kept_first, np.minimum(second, budget - kept_first)]


def packed_lengths(columns: Sequence[TokenColumn], max_length: int = UNLIMITED) -> np.ndarray:
    """Length of every row as it enters the encoder, special tokens included, <int32>[n_rows]."""
    kept = kept_lengths([column.lengths for column in columns], max_length)
    return (np.sum(kept, axis=0) + 1 + len(columns)).astype(np.int32)


def padded_width(longest: int, max_length: int) -> int:
    """The width of a batch whose longest row has ``longest`` pieces: exact up to 32, then the next of 16 widths an octave.

    Each new width costs a kernel for every matrix product of the model, on CPU and GPU alike. So there are at most 64 of
    them up to 128 pieces and 96 up to 512, for 1 to 2% more padding.
    """
    step = 1 << max(0, (longest - 1).bit_length() - 5)
    return min(max_length, -(-longest // step) * step)


def pack_batch(
    columns: Sequence[TokenColumn], rows: np.ndarray, shape: Shape, special_ids: SpecialIds
) -> dict[str, np.ndarray]:
    """Packs the given rows as ``[CLS] first [SEP]`` or ``[CLS] first [SEP] second [SEP]``.

    Args:
        columns: one or two token columns.
        rows: row numbers <int>[batch].
        shape: longest row, and what stays of a longer text.

    Returns:
        input_word_ids, input_mask, input_type_ids, each <int32>[batch, seq], as wide as ``padded_width`` says.
    """
    rows = np.asarray(rows, np.int64)
    starts = [offsets[rows] for _, offsets in columns]
    full = [offsets[rows + 1] - start for (_, offsets), start in zip(columns, starts, strict=True)]
    kept = kept_lengths(full, shape.max_length)
    parts = []
    for (values, _), start, length, count in zip(columns, starts, full, kept, strict=True):
        head = shape.head_of(length, count)
        tail = count - head
        runs = np.stack([start, start + length - tail], axis=1)
        parts.append(Runs(values, runs, np.stack([head, tail], axis=1)))
    return pack_runs(parts, shape.max_length, special_ids)


class Runs(NamedTuple):
    """Which tokens of a text go into each row of a batch, as runs of neighbouring ones.

    values: <int32>[n_tokens], of all rows.
    starts: <int64>[batch, runs], where in them each run begins.
    counts: <int64>[batch, runs], how many it takes.
    """

    values: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


def pack_runs(parts: Sequence[Runs], max_length: int, special_ids: SpecialIds) -> dict[str, np.ndarray]:
    """Packs the runs of one or two texts as ``pack_batch`` does."""
    cls_id, sep_id, pad_id = special_ids
    kept = [part.counts.sum(axis=1) for part in parts]
    lengths = sum(kept) + 1 + len(parts)
    batch = len(lengths)
    seq = padded_width(int(lengths.max(initial=1 + len(parts))), max_length)

    word_ids = np.full((batch, seq), pad_id, np.int32)
    flat = word_ids.reshape(-1)
    begin = np.arange(batch, dtype=np.int64) * seq  # of the row, in `flat`
    flat[begin] = cls_id
    offset = begin + 1
    for part, count in zip(parts, kept, strict=True):
        flat[expand_runs(offset, count)] = part.values[expand_runs(part.starts.ravel(), part.counts.ravel())]
        offset = offset + count
        flat[offset] = sep_id
        offset = offset + 1

    position = np.arange(seq)
    mask = position < lengths[:, None]
    in_second = mask & (
        position >= kept[0][:, None] + 2
    )  # after both special tokens of the first, so none of a single text
    type_ids = in_second.astype(np.int32)
    return {"input_word_ids": word_ids, "input_mask": mask.astype(np.int32), "input_type_ids": type_ids}


def expand_runs(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Joins the ranges ``starts[i] .. starts[i] + counts[i]`` into one index array <int64>[sum(counts)]."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)
