"""From an encoder's outputs to logits."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tf_keras

from bertexp.models.bert.ops import dropout, fold

_DROPOUT_SITE = 1 << 16  # far beyond the encoder's sites


def pool(outputs: Mapping[str, tf.Tensor], mask: tf.Tensor, pooling: str) -> tf.Tensor:
    """Makes one vector of a sequence.

    Args:
      outputs: sequence_output <float32>[batch, seq, hidden], pooled_output <float32>[batch, hidden].
      mask: <int32>[batch, seq], 1 for tokens, 0 for padding; at least one token a row.
      pooling: pooler (dense tanh over [CLS]), cls, or mean or max over the tokens, [CLS] and [SEP] included; none keeps
        the vector of every position.

    Returns:
      <float32>[batch, hidden], or [batch, seq, hidden] with none.
    """
    if pooling == "pooler":
        return outputs["pooled_output"]
    sequence = outputs["sequence_output"]
    if pooling == "none":
        return sequence
    if pooling == "cls":
        return sequence[:, 0]
    tokens = tf.cast(mask, sequence.dtype)[:, :, None]
    if pooling == "mean":
        return tf.reduce_sum(sequence * tokens, axis=1) / tf.reduce_sum(tokens, axis=1)
    if pooling == "max":
        return tf.reduce_max(tf.where(tokens > 0, sequence, sequence.dtype.min), axis=1)
    raise ValueError(f"unknown pooling {pooling!r}")


class ClassificationHead(tf_keras.layers.Layer):
    """Dropout and one dense layer, in float32.

    The first weights are Glorot and Bengio's (2010), as of Keras and Model Garden, three to four times as large as BERT's
    own normal (0.02). In some hundred small steps a head hardly moves: the encoder learns to suit it, and the larger it is
    the sooner (docs/parity.md). ``first_bias`` is what the logits begin around.
    """

    def __init__(self, units: int, dropout: float, seed: int, first_bias: float = 0.0, name: str = "head"):
        super().__init__(name=name, dtype="float32")
        self.dropout = dropout
        initializer = tf_keras.initializers.GlorotUniform(seed=seed)
        bias = tf_keras.initializers.Constant(first_bias)
        self.dense = tf_keras.layers.Dense(
            units, kernel_initializer=initializer, bias_initializer=bias, dtype="float32", name="logits"
        )

    def call(self, vector: tf.Tensor, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        """From <float32>[…, hidden] to logits <float32>[…, units], with dropout where a seed <int32>[2] is given."""
        if dropout_seed is not None:
            vector = dropout(vector, self.dropout, fold(dropout_seed, _DROPOUT_SITE))
        return self.dense(vector)
