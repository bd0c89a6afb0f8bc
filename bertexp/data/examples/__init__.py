"""The rows of a split as the encoder meets them: their lengths, and how a batch of them is packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import tensorflow as tf

from bertexp.data.examples.activations import Activations
from bertexp.data.tokens.packing import Shape, TokenColumn, pack_batch, packed_lengths, untruncated_lengths
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.data.tokens.words import WordPieces, place_tags

Features = dict[str, np.ndarray]
Spec = Mapping[str, tf.TensorSpec]

TOKEN_SPEC = {
    name: tf.TensorSpec([None, None], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")
}


class Examples(Protocol):
    """What loaders draw from. An example is what gets logits of its own: a row, or a window of one."""

    spec: Spec  # of a batch's features
    label_spec: tf.TensorSpec  # of its labels
    columns: Sequence[TokenColumn]  # the token ids of all texts there are

    @property
    def lengths(self) -> np.ndarray:
        """<int32>[examples]: word pieces of each as it enters the encoder."""

    @property
    def full_lengths(self) -> np.ndarray:
        """<int32>[rows]: word pieces of each of the split's rows as it would be without truncation."""

    @property
    def source_rows(self) -> np.ndarray:
        """<int64>[examples]: the split's row that each comes from."""

    def pack(self, places: np.ndarray) -> tuple[Features, np.ndarray]:
        """Features and labels of the examples ``places`` <int64>[batch], padded to one width."""

    def truth(self, places: np.ndarray) -> np.ndarray:
        """What the task judges their logits by, [batch, …]; the labels unless a task needs more."""


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

    def pack(self, places: np.ndarray) -> tuple[Features, np.ndarray]:
        tokenizer = self._tokenizer
        special = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        return pack_batch(self.columns, places, self._shape, *special), self._labels[places]

    def truth(self, places: np.ndarray) -> np.ndarray:
        return self._labels[places]


class TaggedExamples:
    """One example a row: a sentence, with a tag for each word at the word's first piece.

    Args:
        sentences: their word pieces.
        tags: <int32>[words].
        tokenizer: whose special tokens go around.
        max_length: longest row, special tokens included; the words beyond it are not read.
    """

    spec = TOKEN_SPEC
    label_spec = tf.TensorSpec([None, None], tf.int32)

    def __init__(self, sentences: WordPieces, tags: np.ndarray, tokenizer: Tokenizer, max_length: int):
        self._sentences, self._tags, self._tokenizer, self._max_length = sentences, tags, tokenizer, max_length
        self.columns = [sentences.column]

    @property
    def lengths(self) -> np.ndarray:
        return packed_lengths(self.columns, self._max_length)

    @property
    def full_lengths(self) -> np.ndarray:
        return untruncated_lengths(self.columns)

    @property
    def source_rows(self) -> np.ndarray:
        return np.arange(len(self.lengths))

    def pack(self, places: np.ndarray) -> tuple[Features, np.ndarray]:
        tokenizer = self._tokenizer
        special = (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        features = pack_batch(self.columns, places, Shape(self._max_length), *special)
        width = features["input_word_ids"].shape[1]
        return features, place_tags(self._sentences, self._tags, places, self._max_length, width)

    def truth(self, places: np.ndarray) -> np.ndarray:
        """Tags at the places of their words <int32>[batch, …]; the words that were cut follow, see ``place_tags``."""
        return place_tags(self._sentences, self._tags, places, self._max_length)


class ChosenExamples:
    """Some of other examples, in a given order."""

    def __init__(self, examples: Examples, places: np.ndarray):
        self._examples, self._places = examples, places
        self.spec, self.label_spec, self.columns = examples.spec, examples.label_spec, examples.columns

    @property
    def lengths(self) -> np.ndarray:
        return self._examples.lengths[self._places]

    @property
    def full_lengths(self) -> np.ndarray:
        return self._examples.full_lengths

    @property
    def source_rows(self) -> np.ndarray:
        return self._examples.source_rows[self._places]

    def pack(self, places: np.ndarray) -> tuple[Features, np.ndarray]:
        return self._examples.pack(self._places[places])

    def truth(self, places: np.ndarray) -> np.ndarray:
        return self._examples.truth(self._places[places])


class FrozenExamples(ChosenExamples):
    """All of other examples, with what frozen layers made of their tokens in place of the tokens."""

    def __init__(self, examples: Examples, activations: Activations):
        super().__init__(examples, np.arange(len(examples.lengths)))
        self._activations, self.spec = activations, activations.spec

    def pack(self, places: np.ndarray) -> tuple[Features, np.ndarray]:
        tokens, labels = self._examples.pack(places)
        return self._activations.pack(places, tokens["input_word_ids"].shape[1]), labels


def label_array(labels: pa.ChunkedArray, classes: int) -> np.ndarray:
    """Canonical labels for NumPy: <int32>[rows], <float32>[rows], or of sets <float32>[rows, classes], 1 for members."""
    if not pa.types.is_list(labels.type):
        return labels.to_numpy().astype(np.int32 if pa.types.is_integer(labels.type) else np.float32)
    lists = labels.combine_chunks()
    members = np.zeros([len(lists), classes], np.float32)
    counts = lists.value_lengths().fill_null(0).to_numpy()
    members[np.repeat(np.arange(len(lists)), counts), lists.flatten().to_numpy()] = 1.0
    return members
