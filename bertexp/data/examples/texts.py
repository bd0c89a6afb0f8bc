"""Texts and pairs with one label each; long texts in windows, of which what they say is averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import tensorflow as tf

from bertexp.data.examples import TOKEN_SPEC, Features, Spec
from bertexp.data.tokens.packing import Runs, Shape, pack_batch, pack_runs, packed_lengths
from bertexp.data.tokens.windows import Cuts, cut_texts

if TYPE_CHECKING:
    from bertexp.data.examples.module import DataModule


class TextExamples:
    """One example a row: a text or a pair, with a class, a set of classes or a number.

    Args:
        source: of the split's table, and of how long a row may be.
        split: its name.
    """

    spec: Spec = TOKEN_SPEC

    def __init__(self, source: DataModule, split: str):
        dataset, config = source.dataset, source.config
        self.columns = [source.encode(split, field) for field in ("text", "text_pair")[: 1 + dataset.has_pair]]
        self._labels = label_array(dataset.splits[split]["label"], len(dataset.label_names))
        self._tokenizer, self._shape = source.tokenizer, Shape(config.max_length, config.long_text)
        self.label_spec = tf.TensorSpec([None, *self._labels.shape[1:]], self._labels.dtype)
        self.lengths, self.full_lengths = packed_lengths(self.columns, config.max_length), packed_lengths(self.columns)
        self.source_rows = np.arange(len(self._labels))

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        return pack_batch(self.columns, indices, self._shape, self._tokenizer.special_ids), self._labels[indices]

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        return self._labels[indices]

    def truth(self, indices: np.ndarray) -> np.ndarray:
        return self._labels[indices]


class LongTextExamples(TextExamples):
    """One example a text, packed as all of its windows ``[CLS] part [SEP]``.

    The features' first axis is windows; ``text_of_window`` <int32>[windows] tells which of the batch's texts each is of,
    ascending, and the model averages the logits of a text's windows.

    Args as of ``TextExamples``.
    """

    spec = TOKEN_SPEC | {"text_of_window": tf.TensorSpec([None], tf.int32)}

    def __init__(self, source: DataModule, split: str):
        super().__init__(source, split)
        self._overlap = source.config.overlap
        windows = self._cut(self.columns[0].lengths)
        pieces = np.bincount(windows.rows, windows.counts + 2, len(self._labels))  # of all windows of a text
        self.lengths = pieces.astype(np.int32)

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        column = self.columns[0]
        begins = column.offsets[indices]
        windows = self._cut(column.offsets[indices + 1] - begins)
        parts = Runs(column.values, (begins[windows.rows] + windows.starts)[:, None], windows.counts[:, None])
        features = pack_runs([parts], self._shape.max_length, self._tokenizer.special_ids)
        return features | {"text_of_window": windows.rows.astype(np.int32)}, self._labels[indices]

    def _cut(self, lengths: np.ndarray) -> Cuts:
        return cut_texts(lengths, self._shape.max_length - 2, self._overlap)


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
