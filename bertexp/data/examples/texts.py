"""Texts and pairs with one label each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf

from bertexp.data.examples import TOKEN_SPEC, Features
from bertexp.data.tokens.packing import Shape, TokenColumn, pack_batch, packed_lengths, untruncated_lengths
from bertexp.data.tokens.tokenizer import Tokenizer


class TextExamples:
    """One example a row: a text or a pair, with a class, a set of classes or a number.

    Args:
        columns: token ids of the text, and of the second one where rows are pairs.
        labels: <int32 or float32>[rows] or [rows, classes].
        tokenizer: whose special tokens go in between.
        shape: how long a row may be, and what stays of a longer one.
    """

    spec = TOKEN_SPEC

    def __init__(self, columns: Sequence[TokenColumn], labels: np.ndarray, tokenizer: Tokenizer, shape: Shape):
        self.columns, self._labels, self._tokenizer, self._shape = columns, labels, tokenizer, shape
        self.label_spec = tf.TensorSpec([None, *labels.shape[1:]], labels.dtype)

    @property
    def lengths(self) -> np.ndarray:
        return packed_lengths(self.columns, self._shape.max_length)

    @property
    def full_lengths(self) -> np.ndarray:
        return untruncated_lengths(self.columns)

    @property
    def source_rows(self) -> np.ndarray:
        return np.arange(len(self._labels))

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        tokenizer = self._tokenizer
        special = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        return pack_batch(self.columns, indices, self._shape, *special), self._labels[indices]

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        return self._labels[indices]

    def truth(self, indices: np.ndarray) -> np.ndarray:
        return self._labels[indices]


def label_array(labels: pa.ChunkedArray, classes: int) -> np.ndarray:
    """Canonical labels for NumPy: <int32>[rows], <float32>[rows], or of sets <float32>[rows, classes], 1 for members."""
    if not pa.types.is_list(labels.type):
        return labels.to_numpy().astype(np.int32 if pa.types.is_integer(labels.type) else np.float32)
    lists = labels.combine_chunks()
    members = np.zeros([len(lists), classes], np.float32)
    counts = lists.value_lengths().fill_null(0).to_numpy()
    members[np.repeat(np.arange(len(lists)), counts), lists.flatten().to_numpy()] = 1.0
    return members
