"""What the trainer expects of the data that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

Features = dict[str, tf.Tensor]
FeatureSpec = Mapping[
    str, tf.TensorSpec
]  # names, dtypes, shapes; batch and sequence are open: one graph for all batches


class TrainBatches(Protocol):
    """Training batches; the order of an epoch must be a function of its number.

    ``epoch`` gives features, labels and whether a batch is complete with them <bool>[]: a large one may come in parts.
    """

    spec: FeatureSpec
    label_spec: tf.TensorSpec

    def __len__(self) -> int: ...
    def vocabulary(self) -> np.ndarray | None:
        """Ids <int>[at most the vocabulary] of the pieces that can occur, ascending; None if that is not known."""

    def epoch(self, epoch: int, start: int = 0, stop: int | None = None) -> tf.data.Dataset: ...


class EvalBatches(Protocol):
    """Every example of a split once, in any order; ``indices`` tells which."""

    spec: FeatureSpec
    labelled: bool  # whether the examples have labels

    def __len__(self) -> int: ...
    def batches(self) -> tf.data.Dataset: ...
    def indices(self) -> np.ndarray: ...
    def truth(self, indices: np.ndarray) -> np.ndarray: ...
    def source_rows(self, indices: np.ndarray) -> np.ndarray: ...


class Loaders(Protocol):
    """What the trainer draws batches from; ``bertexp.data.DataModule`` is one."""

    def train_loader(self, limit_rows: int | None = None) -> TrainBatches: ...
    def eval_loader(
        self, split: str, limit_rows: int | None = None, limit_batches: int | None = None
    ) -> EvalBatches: ...
