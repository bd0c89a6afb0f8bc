"""Long texts in windows: each is read whole, and what its windows say is averaged."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from bertexp.data.examples import TOKEN_SPEC, Features
from bertexp.data.tokens.packing import Runs, TokenColumn, pack_runs, untruncated_lengths
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.data.tokens.windows import cut_texts


class LongTextExamples:
    """One example a text, packed as all of its windows ``[CLS] part [SEP]``.

    The features' first axis is windows; ``text_of_window`` <int32>[windows] tells which of the batch's texts each is of,
    ascending, and the model averages the logits of a text's windows.

    Args:
        column: token ids of the texts.
        labels: <int32 or float32>[rows] or [rows, classes].
        tokenizer: whose special tokens go in between.
        max_length: of a window, special tokens included.
        overlap: pieces that neighbouring windows share.
    """

    spec = TOKEN_SPEC | {"text_of_window": tf.TensorSpec([None], tf.int32)}

    def __init__(self, column: TokenColumn, labels: np.ndarray, tokenizer: Tokenizer, max_length: int, overlap: int):
        self.columns, self._labels, self._tokenizer = [column], labels, tokenizer
        self._max_length, self._overlap = max_length, overlap
        self.label_spec = tf.TensorSpec([None, *labels.shape[1:]], labels.dtype)

    @property
    def lengths(self) -> np.ndarray:
        """<int32>[rows]: pieces of all windows of each text."""
        windows = cut_texts(self.columns[0].lengths, self._max_length - 2, self._overlap)
        return np.bincount(windows.rows, windows.counts + 2, len(self._labels)).astype(np.int32)

    @property
    def full_lengths(self) -> np.ndarray:
        return untruncated_lengths(self.columns)

    @property
    def source_rows(self) -> np.ndarray:
        return np.arange(len(self._labels))

    def pack(self, places: np.ndarray) -> tuple[Features, np.ndarray]:
        column, tokenizer = self.columns[0], self._tokenizer
        begins = column.offsets[places]
        windows = cut_texts(column.offsets[places + 1] - begins, self._max_length - 2, self._overlap)
        parts = Runs(column.values, (begins[windows.rows] + windows.starts)[:, None], windows.counts[:, None])
        special = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        features = pack_runs([parts], self._max_length, *special)
        return features | {"text_of_window": windows.rows.astype(np.int32)}, self._labels[places]

    def truth(self, places: np.ndarray) -> np.ndarray:
        return self._labels[places]
