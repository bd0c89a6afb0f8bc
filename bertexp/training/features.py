"""What a step is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

Features = dict[str, tf.Tensor]
FeatureSpec = Mapping[str, tf.TensorSpec]  # with batch and sequence open: one graph for all batches


class BatchSpec(Protocol):
    """Anything that says what its batches look like."""

    @property
    def spec(self) -> FeatureSpec:
        """Names, dtypes and shapes of the features."""

    @property
    def label_spec(self) -> tf.TensorSpec:
        """Dtype and shape of the labels."""

    def vocabulary(self) -> np.ndarray | None:
        """Ids <int>[n] of the pieces that can occur, ascending; None if that is not known."""
