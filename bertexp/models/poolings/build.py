"""From the name of a pooling to what computes it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

import tensorflow as tf

Pool = Callable[[Mapping[str, tf.Tensor], tf.Tensor], tf.Tensor]


def build_pooling(name: str, seed: int) -> Pool:
    """Makes a pooling; one with weights is a Keras layer, whose first weights ``seed`` decides.

    It maps the encoder's outputs (sequence_output <float>[batch, seq, hidden], pooled_output <float>[batch, hidden]) and the
    mask <int32>[batch, seq], which is 1 for tokens (at least one a row) and 0 for padding, to <float>[batch, hidden]; "none"
    maps them to <float>[batch, seq, hidden].
    """
    return importlib.import_module(f"bertexp.models.poolings.{name}").build(seed)
