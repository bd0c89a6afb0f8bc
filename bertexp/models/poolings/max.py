"""The largest value over the tokens, [CLS] and [SEP] included, of each of the hidden units."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from bertexp.models.poolings.spec import Pool


def build(seed: int) -> Pool:
    """Makes it; it has no weights for ``seed`` to decide."""
    return _pool


def _pool(outputs: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
    sequence = outputs["sequence_output"]
    return tf.reduce_max(tf.where(mask[:, :, None] > 0, sequence, sequence.dtype.min), axis=1)
