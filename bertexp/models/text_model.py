"""Encoder and head as one Keras model."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tf_keras

from bertexp.interfaces import FEATURES, Encoder
from bertexp.models.heads import ClassificationHead
from bertexp.models.poolings.build import build_pooling


class TextClassifier(tf_keras.Model):
    """Maps token ids to logits.

    Args:
      encoder: gives sequence_output and pooled_output of tokens.
      units: number of logits.
      pooling: one of `models.poolings.spec`; none for logits at every position.
      dropout: rate before the head.
      seed: of the first weights of head and pooling.
      first_bias: of every logit.
    """

    def __init__(
        self,
        encoder: Encoder,
        units: int,
        pooling: str,
        dropout: float,
        seed: int,
        first_bias: float = 0.0,
    ):
        super().__init__(name="text_classifier", autocast=False)
        self.encoder = encoder
        self.head = ClassificationHead(units, dropout, seed, first_bias)
        self.pooling, self.pool = pooling, build_pooling(pooling, seed)
        self(dict.fromkeys(FEATURES, tf.ones([1, 1], tf.int32)))  # makes the head's weights

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns logits.

        Args:
          inputs: input_word_ids, input_mask, input_type_ids: <int32>[batch, seq]; or what `run_frozen` made of them.
            With text_of_window <int32>[windows], ascending, these are windows of texts, whose logits are averaged.
          training: whether dropout is applied.
          dropout_seed: <int32>[2], (run seed, step); or [3], with the number of the first row in the batch that these are
            part of. None draws one.

        Returns:
          <float32>[batch, units], or [batch, seq, units] without pooling.
        """
        if not training:
            dropout_seed = None
        elif dropout_seed is None:
            dropout_seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        logits = self.head(self._pooled(inputs, training, dropout_seed), dropout_seed)
        return tf.math.segment_mean(logits, inputs["text_of_window"]) if "text_of_window" in inputs else logits

    @property
    def frozen_output(self) -> str | None:
        """What `run_frozen` gives: "pooled" where the whole encoder is frozen, "hidden_states" where its lower layers are."""
        pool_learns = bool(getattr(self.pool, "trainable_variables", ()))
        if not self.encoder.trainable_variables and self.pooling != "none" and not pool_learns:
            return "pooled"
        return "hidden_states" if self.encoder.frozen_depth else None

    def run_frozen(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the frozen part makes of tokens: <float32>[batch, hidden], or [batch, seq, hidden] of the lower layers."""
        return self._pooled(inputs) if self.frozen_output == "pooled" else self.encoder.run_frozen(inputs)

    def _pooled(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        if "pooled" in inputs:
            return inputs["pooled"]
        outputs = self.encoder(inputs, training=training, dropout_seed=dropout_seed)
        return self.pool(outputs, inputs["input_mask"])
