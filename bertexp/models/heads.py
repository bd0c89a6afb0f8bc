"""From pooled vectors to logits."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from bertexp.models.bert.dropout import dropout, fold

_DROPOUT_SITE = 1 << 16  # far beyond the encoder's sites


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
        """From <float32>[…, hidden] to logits <float32>[…, units], with dropout if a seed (bert/dropout.py) is given."""
        if dropout_seed is not None:
            vector = dropout(vector, self.dropout, fold(dropout_seed, _DROPOUT_SITE))
        return self.dense(vector)
