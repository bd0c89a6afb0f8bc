"""The windows of a split's questions: what the encoder meets, where the answers stand in them, and how to judge them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from bertexp.data.examples import TOKEN_SPEC, Features
from bertexp.data.examples.module import DataModule
from bertexp.data.tokens.packing import AlignedTokens
from bertexp.data.tokens.windows import byte_offsets, cut_windows, find_pieces, label_windows, pack_windows


class WindowTruth(NamedTuple):
    """What a window's logits are judged by."""

    row: int  # of the question, in its split
    first: int  # position of the first context piece
    start: int  # positions of the answer's first and last piece; 0, [CLS], where the window does not hold it
    end: int
    begins: np.ndarray  # <int32>[pieces], the bytes of the context that each piece shown stands for
    ends: np.ndarray
    context: str
    answers: tuple[str, ...]  # the gold ones; () for an unanswerable question


class QuestionExamples:
    """One example for each window of each question's context.

    Args:
        source: of the split's table, with text (the question), text_pair (the context) and label (the answers); every
            context is encoded once, however many questions ask about it.
        split: its name.

    Labels are <int32>[examples, 3]: positions of the first and last piece of the first gold answer (0 and 0 where the
    window does not hold it whole), and the window's length, which tells real positions from padding.
    """

    spec = TOKEN_SPEC
    label_spec = tf.TensorSpec([None, 3], tf.int32)

    def __init__(self, source: DataModule, split: str):
        table = source.dataset.splits[split]
        self._tokenizer, self._max_length = source.tokenizer, source.config.max_length
        contexts = table["text_pair"].combine_chunks().dictionary_encode()
        self._texts, self._label = contexts.dictionary, table["label"]
        self._context_of = contexts.indices.to_numpy().astype(np.int64)
        self._questions, self._contexts = source.encode(split, "text"), source.encode_aligned(split, self._texts)
        self.columns = [self._questions, self._contexts.tokens]
        lengths = self._questions.lengths, self._contexts.lengths[self._context_of]
        self.windows = cut_windows(*lengths, self._max_length, source.config.overlap)
        self.lengths, self.source_rows = self.windows.lengths, self.windows.rows
        self.full_lengths = (sum(lengths) + 3).astype(np.int32)
        first, last = _find_answers(self._label, self._contexts, self._texts, self._context_of)
        self._labels = np.column_stack([label_windows(self.windows, first, last), self.windows.lengths])

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        texts = (self._questions, self._contexts, self._context_of)
        features = pack_windows(self.windows, indices, *texts, self._max_length, self._tokenizer.special_ids)
        return features, self._labels[indices]

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        return self._labels[indices]

    def truth(self, indices: np.ndarray) -> np.ndarray:
        """<object>[batch] of ``WindowTruth``."""
        return np.fromiter(map(self._truth, indices), object, len(indices))

    def _truth(self, index: int) -> WindowTruth:
        windows, row = self.windows, int(self.windows.rows[index])
        context = self._context_of[row]
        begin = self._contexts.offsets[context] + windows.starts[index]
        shown = slice(begin, begin + windows.counts[index])
        begins, ends, text = self._contexts.begins[shown], self._contexts.ends[shown], self._texts[context].as_py()
        start, end, _ = self._labels[index].tolist()
        answers = tuple(answer["text"] for answer in self._label[row].as_py() or ())
        return WindowTruth(row, int(windows.firsts[index]), start, end, begins, ends, text, answers)


def _find_answers(
    labels: pa.ChunkedArray, contexts: AlignedTokens, context_texts: pa.StringArray, context_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First and last piece, counted within the context, of each row's first answer: <int64>[rows] each, -1 for none."""
    lists = labels.combine_chunks()
    rows = np.flatnonzero(pc.list_value_length(lists).fill_null(0).to_numpy())
    answers = pc.list_element(lists.take(pa.array(rows)), 0)
    starts = pc.struct_field(answers, "start").to_numpy()
    ends = starts + pc.utf8_length(pc.struct_field(answers, "text")).to_numpy()
    where = context_of[rows]
    begin_bytes, end_bytes = (byte_offsets(context_texts, where, characters) for characters in (starts, ends))
    first, last = (np.full(len(lists), -1) for _ in range(2))
    first[rows], last[rows] = find_pieces(contexts, where, begin_bytes, end_bytes)
    return first, last
