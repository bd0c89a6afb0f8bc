"""The mean over the tokens, [CLS] and [SEP] included."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from bertexp.models.poolings.spec import Pool


def build(seed: int) -> Pool:
    """Makes it; it has no weights for ``seed`` to decide."""
    return _pool


def _pool(outputs: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
    sequence = outputs["sequence_output"]
    tokens = tf.cast(mask, sequence.dtype)[:, :, None]
    return tf.reduce_sum(sequence * tokens, axis=1) / tf.reduce_sum(tokens, axis=1)
