"""Encoder and head as one Keras model, and what of it learns."""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras

from bertexp.config.schema import TrainableConfig
from bertexp.errors import ConfigError
from bertexp.interfaces import FEATURES, Encoder
from bertexp.models.bert.dropout import call_seed, dropout, fold
from bertexp.models.bert.forward import Inputs
from bertexp.models.poolings.spec import POOLINGS, build_pooling
from bertexp.models.source.locate import count_top_layers

_DROPOUT_SITE = 1 << 16  # of the head: far beyond the encoder's sites


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

    def __init__(self, encoder: Encoder, units: int, pooling: str, dropout: float, seed: int, first_bias: float = 0.0):
        super().__init__(name="text_classifier", autocast=False)
        self.encoder = encoder
        self.head = ClassificationHead(units, dropout, seed, first_bias)
        self.pooling, self.pool = pooling, build_pooling(pooling, seed)
        self(dict.fromkeys(FEATURES, tf.ones([1, 1], tf.int32)))  # makes the head's weights

    def call(self, inputs: Inputs, training: bool = False, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
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
        dropout_seed = call_seed(dropout_seed) if training else None
        logits = self.head(self._pooled(inputs, training, dropout_seed), dropout_seed)
        return tf.math.segment_mean(logits, inputs["text_of_window"]) if "text_of_window" in inputs else logits

    @property
    def frozen_output(self) -> str | None:
        """What `run_frozen` gives: "pooled" where the whole encoder is frozen, "hidden_states" where its lower layers are."""
        pool_learns = bool(getattr(self.pool, "trainable_variables", ()))
        if not self.encoder.trainable_variables and self.pooling != "none" and not pool_learns:
            return "pooled"
        return "hidden_states" if self.encoder.frozen_depth else None

    def run_frozen(self, inputs: Inputs) -> tf.Tensor:
        """What the frozen part makes of tokens: <float32>[batch, hidden], or [batch, seq, hidden] of the lower layers."""
        return self._pooled(inputs) if self.frozen_output == "pooled" else self.encoder.run_frozen(inputs)

    def _pooled(self, inputs: Inputs, training: bool = False, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        if "pooled" in inputs:
            return inputs["pooled"]
        outputs = self.encoder(inputs, training=training, dropout_seed=dropout_seed)
        return self.pool(outputs, inputs["input_mask"])


class ClassificationHead(tf_keras.layers.Layer):
    """Dropout and one dense layer, in float32.

    The first weights are Glorot and Bengio's (2010), as of Keras and Model Garden, three to four times as large as BERT's
    own normal (0.02). In some hundred small steps a head hardly moves: the encoder learns to suit it, and the larger it is
    the sooner (docs/parity.md). ``first_bias`` is what the logits begin around.
    """

    def __init__(self, units: int, dropout: float, seed: int, first_bias: float = 0.0):
        super().__init__(name="head", dtype="float32")
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


def set_trainable(model: TextClassifier, config: TrainableConfig) -> dict[str, int]:
    """Sets which variables train: ``model.trainable_variables`` holds exactly those afterwards.

    The head always does. With top_layers the embeddings and the lower layers do not, the pooler does. A pooler that the
    pooling does not read never trains, for it has no gradient.

    Returns:
      numbers of weights: "trained" and "frozen".

    Raises:
      ConfigError: the encoder's layers cannot be told apart, or it has fewer than asked for.
    """
    model.trainable = True
    encoder = model.encoder
    embeddings, layers, pooler = encoder.layers
    if config.encoder == "top_layers":
        if not layers:
            raise ConfigError(
                "trainable=top_layers needs an encoder whose layers can be told apart, and here they cannot "
                f"({encoder.fallback}); choose trainable=full or trainable=frozen"
            )
        for layer in [*embeddings, *layers[: len(layers) - count_top_layers(len(layers), config)]]:
            layer.trainable = False
    if config.encoder == "full" and not encoder.trainable_variables:
        raise ConfigError("this SavedModel has no trainable variables; choose trainable=frozen")
    if pooler is not None and POOLINGS[model.pooling].reads != "pooler":
        pooler.trainable = False
    if config.encoder == "frozen":
        encoder.trainable = False
    trained, total = (
        sum(math.prod(variable.shape) for variable in variables)
        for variables in (model.trainable_variables, model.variables)
    )
    return {"trained": trained, "frozen": total - trained}
