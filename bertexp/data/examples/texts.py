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
        labels: <int32 or float32>[rows], or sets of classes.
        tokenizer: whose special tokens go in between.
        shape: how long a row may be, and what stays of a longer one.
    """

    spec = TOKEN_SPEC

    def __init__(
        self, columns: Sequence[TokenColumn], labels: np.ndarray | ClassSets, tokenizer: Tokenizer, shape: Shape
    ):
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


class ClassSets:
    """Sets of classes, one a row, as an array <float32>[rows, classes] of which only the rows asked for are made."""

    dtype = np.float32

    def __init__(self, sets: pa.ListArray, classes: int):
        counts = sets.value_lengths().fill_null(0).to_numpy()
        self._offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._members, self.shape = sets.flatten().to_numpy(), (len(sets), classes)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """<float32>[n, classes] of the rows <int>[n]: 1 for members."""
        members = np.zeros([len(rows), self.shape[1]], np.float32)
        for row, (begin, end) in enumerate(zip(self._offsets[rows], self._offsets[rows + 1], strict=True)):
            members[row, self._members[begin:end]] = 1.0
        return members


def label_array(labels: pa.ChunkedArray, classes: int) -> np.ndarray | ClassSets:
    """Canonical labels for NumPy: <int32>[rows], <float32>[rows], or sets of classes, indexed like an array."""
    if not pa.types.is_list(labels.type):
        return labels.to_numpy().astype(np.int32 if pa.types.is_integer(labels.type) else np.float32)
    return ClassSets(labels.combine_chunks(), classes)
