"""The rows of a split as the encoder meets them: their lengths, and how a batch of them is packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from bertexp.data.examples.activations import Activations
from bertexp.data.tokens.packing import TokenColumn, padded_width
from bertexp.interfaces import FEATURES

Features = dict[str, np.ndarray]
Spec = Mapping[str, tf.TensorSpec]

TOKEN_SPEC = {name: tf.TensorSpec([None, None], tf.int32) for name in FEATURES}


class Examples(Protocol):
    """What loaders draw from. An example is what gets logits of its own: a row, or a window of one."""

    spec: Spec  # of a batch's features
    label_spec: tf.TensorSpec  # of its labels
    columns: Sequence[TokenColumn]  # the token ids of all texts there are
    lengths: np.ndarray  # <int32>[examples], word pieces of each as it enters the encoder
    full_lengths: np.ndarray  # <int32>[rows], those of each of the split's rows as it would be without truncation
    source_rows: np.ndarray  # <int64>[examples], the split's row that each comes from

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        """Features and labels of the examples ``indices`` <int64>[batch], padded to one width."""

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        """The labels alone, [batch, …]; those of every position as wide as a batch of ``width`` pieces."""

    def truth(self, indices: np.ndarray) -> np.ndarray:
        """What the task judges their logits by, [batch, …]; the labels unless a task needs more."""


class ChosenExamples:
    """Some of other examples, in a given order."""

    def __init__(self, examples: Examples, indices: np.ndarray):
        self._examples, self._indices = examples, indices
        self.spec, self.label_spec, self.columns = examples.spec, examples.label_spec, examples.columns
        self.lengths, self.full_lengths = examples.lengths[indices], examples.full_lengths
        self.source_rows = examples.source_rows[indices]

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        return self._examples.pack(self._indices[indices])

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        return self._examples.labels(self._indices[indices], width)

    def truth(self, indices: np.ndarray) -> np.ndarray:
        return self._examples.truth(self._indices[indices])


class FrozenExamples(ChosenExamples):
    """All of other examples, with what frozen layers made of their tokens in place of the tokens."""

    def __init__(self, examples: Examples, activations: Activations):
        super().__init__(examples, np.arange(len(examples.lengths)))
        self._activations, self.spec = activations, activations.spec

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        width = padded_width(int(self.lengths[indices].max()), int(self.lengths.max()))
        return self._activations.pack(indices, width), self.labels(indices, width)
