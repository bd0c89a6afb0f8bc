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

    @property
    def lengths(self) -> np.ndarray:
        """<int32>[examples]: word pieces of each as it enters the encoder."""

    @property
    def full_lengths(self) -> np.ndarray:
        """<int32>[rows]: word pieces of each of the split's rows as it would be without truncation."""

    @property
    def source_rows(self) -> np.ndarray:
        """<int64>[examples]: the split's row that each comes from."""

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

    @property
    def lengths(self) -> np.ndarray:
        return self._examples.lengths[self._indices]

    @property
    def full_lengths(self) -> np.ndarray:
        return self._examples.full_lengths

    @property
    def source_rows(self) -> np.ndarray:
        return self._examples.source_rows[self._indices]

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        return self._examples.pack(self._indices[indices])

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        return self._examples.labels(self._indices[indices], width)

    def truth(self, indices: np.ndarray) -> np.ndarray:
        return self._examples.truth(self._indices[indices])


class FrozenExamples(ChosenExamples):
    """All of other examples, with what frozen layers made of their tokens in place of the tokens."""

    def __init__(self, examples: Examples, activations: Activations):
        self._lengths = examples.lengths
        super().__init__(examples, np.arange(len(self._lengths)))
        self._activations, self.spec = activations, activations.spec

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        width = padded_width(int(self._lengths[indices].max()), int(self._lengths.max()))
        return self._activations.pack(indices, width), self.labels(indices, width)
