"""Long texts in windows: each is read whole, and what its windows say is averaged."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bertexp.data.examples import TOKEN_SPEC, Features
from bertexp.data.examples.texts import ClassSets, TextExamples
from bertexp.data.tokens.packing import Runs, Shape, TokenColumn, pack_runs
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.data.tokens.windows import Cuts, cut_texts


class LongTextExamples(TextExamples):
    """One example a text, packed as all of its windows ``[CLS] part [SEP]``.

    The features' first axis is windows; ``text_of_window`` <int32>[windows] tells which of the batch's texts each is of,
    ascending, and the model averages the logits of a text's windows.

    Args:
        column: token ids of the texts.
        labels: <int32 or float32>[rows], or sets of classes.
        tokenizer: whose special tokens go in between.
        max_length: of a window, special tokens included.
        overlap: pieces that neighbouring windows share.
    """

    spec = TOKEN_SPEC | {"text_of_window": tf.TensorSpec([None], tf.int32)}

    def __init__(
        self, column: TokenColumn, labels: np.ndarray | ClassSets, tokenizer: Tokenizer, max_length: int, overlap: int
    ):
        super().__init__([column], labels, tokenizer, Shape(max_length, "windows"))
        self._overlap = overlap

    @property
    def lengths(self) -> np.ndarray:
        """<int32>[rows]: pieces of all windows of each text."""
        windows = self._cut(self.columns[0].lengths)
        return np.bincount(windows.rows, windows.counts + 2, len(self._labels)).astype(np.int32)

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        column, tokenizer = self.columns[0], self._tokenizer
        begins = column.offsets[indices]
        windows = self._cut(column.offsets[indices + 1] - begins)
        parts = Runs(column.values, (begins[windows.rows] + windows.starts)[:, None], windows.counts[:, None])
        special = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        features = pack_runs([parts], self._shape.max_length, *special)
        return features | {"text_of_window": windows.rows.astype(np.int32)}, self._labels[indices]

    def _cut(self, lengths: np.ndarray) -> Cuts:
        return cut_texts(lengths, self._shape.max_length - 2, self._overlap)
