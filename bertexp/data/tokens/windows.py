"""Windows of a long context behind its question: ``[CLS] question [SEP] part of the context [SEP]``. NumPy only.

The rule (Devlin et al. 2018, section 4.2, and its code) is stated once in words here and once more in graph operations
in ``tasks/question_answering/signature.py``; a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bertexp.data.tokens.packing import AlignedTokens, Runs, SpecialIds, TokenColumn, pack_runs

QUESTION_PIECES = 64  # of a question are kept at most


class Cuts(NamedTuple):
    """Parts of texts, those of a text one after the other, all <int64>[parts].

    rows: the text that a part belongs to.
    starts: its first piece, counted within the text.
    counts: how many pieces it has.
    """

    rows: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


def cut_texts(lengths: np.ndarray, room: np.ndarray | int, overlap: int) -> Cuts:
    """Cuts every text into the fewest parts of at most ``room`` pieces that share ``overlap`` with the one before.

    Args:
        lengths: <int>[rows], pieces of each text; an empty one has one part.
        room: <int>[rows] or one for all, above ``overlap``.
    """
    lengths = np.asarray(lengths, np.int64)
    room = np.broadcast_to(np.asarray(room, np.int64), lengths.shape)
    parts = 1 - (-np.maximum(lengths - room, 0) // (room - overlap))
    rows = np.repeat(np.arange(len(lengths)), parts)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(parts) - parts, parts)
    starts = number * (room - overlap)[rows]
    return Cuts(rows, starts, np.minimum(room[rows], lengths[rows] - starts))


class Windows(NamedTuple):
    """Which part of its context each window shows, the windows of a row one after the other.

    rows: <int64>[windows], the row that a window belongs to.
    starts: <int64>[windows], the first piece of the context that it shows, counted within the context.
    counts: <int64>[windows], how many it shows.
    questions: <int64>[windows], how many pieces of the question stand before them.
    """

    rows: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    questions: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """<int32>[windows], with [CLS] and the two [SEP]."""
        return (self.questions + self.counts + 3).astype(np.int32)

    @property
    def firsts(self) -> np.ndarray:
        """<int64>[windows], the position of the first context piece."""
        return self.questions + 2


def cut_windows(questions: np.ndarray, contexts: np.ndarray, max_length: int, overlap: int) -> Windows:
    """Cuts every context into the fewest windows of ``max_length`` pieces that share ``overlap`` with the one before.

    Args:
        questions: <int>[rows], pieces of each question.
        contexts: <int>[rows], pieces of each context; an empty one has one window.
        overlap: at most ``max_length - 4``.

    A question keeps ``QUESTION_PIECES``, but no more than half of what the special tokens and the overlap leave.
    """
    kept = np.minimum(np.asarray(questions, np.int64), min(QUESTION_PIECES, (max_length - 3 - overlap) // 2))
    cuts = cut_texts(contexts, max_length - 3 - kept, overlap)
    return Windows(*cuts, kept[cuts.rows])


def pack_windows(
    windows: Windows,
    indices: np.ndarray,
    questions: TokenColumn,
    contexts: AlignedTokens,
    context_of: np.ndarray,
    max_length: int,
    special_ids: SpecialIds,
) -> dict[str, np.ndarray]:
    """Packs the windows ``indices`` <int>[batch] as BERT's input.

    Args:
        questions: of every row.
        contexts: the distinct ones.
        context_of: <int>[rows], the context of each row.

    Returns:
        input_word_ids, input_mask, input_type_ids, each <int32>[batch, seq].
    """
    rows = windows.rows[indices]
    context_starts = contexts.offsets[context_of[rows]] + windows.starts[indices]
    parts = [
        Runs(questions.values, questions.offsets[rows][:, None], windows.questions[indices][:, None]),
        Runs(contexts.values, context_starts[:, None], windows.counts[indices][:, None]),
    ]
    return pack_runs(parts, max_length, special_ids)


def byte_offsets(texts: pa.StringArray | pa.LargeStringArray, rows: np.ndarray, characters: np.ndarray) -> np.ndarray:
    """From offsets in characters to offsets in bytes of UTF-8.

    Args:
        rows: <int>[n], which of the texts.
        characters: <int>[n], each at most the length of its text.

    Returns:
        <int64>[n].
    """
    strings = texts.to_pylist()
    sizes = [len(strings[row][:count].encode()) for row, count in zip(rows, characters, strict=True)]
    return np.array(sizes, np.int64)


def find_pieces(
    contexts: AlignedTokens, rows: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last piece that bytes ``begins`` to ``ends`` of a context touch.

    Args:
        rows: <int>[n], which of the contexts.
        begins, ends: <int>[n], in bytes.

    Returns:
        <int64>[n] each, counted within the context; where no piece stands for any of the bytes, last < first.
    """
    offsets = contexts.offsets
    step = int(max(contexts.ends.max(initial=0), ends.max(initial=0))) + 2
    row_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * step

    first = np.searchsorted(row_of + contexts.ends, rows * step + begins, "right") - offsets[rows]
    last = np.searchsorted(row_of + contexts.begins, rows * step + ends, "left") - offsets[rows] - 1
    return first, last


def label_windows(windows: Windows, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Where the answer stands in each window.

    Args:
        first, last: <int>[rows], the answer's pieces counted within the context; -1 for no answer.

    Returns:
        <int32>[windows, 2], positions of its first and last piece; 0 ([CLS]) where it does not lie wholly inside.
    """
    first, last = first[windows.rows], last[windows.rows]
    inside = (first >= windows.starts) & (last < windows.starts + windows.counts) & (first <= last)
    shift = windows.firsts - windows.starts
    return np.where(inside[:, None], np.stack([first + shift, last + shift], axis=1), 0).astype(np.int32)
