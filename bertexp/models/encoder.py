"""The encoder that is trained: it holds one of Model Garden's, and computes a BERT from its named weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import tensorflow as tf
import tf_keras

from bertexp.interfaces import EncoderLayers
from bertexp.models import garden
from bertexp.models.bert.forward import lay_out_weights, run_bert, run_frozen
from bertexp.models.source.architecture import BertArchitecture


class Encoder(tf_keras.layers.Layer):
    """Tokens to vectors (bertexp/interfaces.py), with the variables and the checkpoint of a Model Garden encoder.

    A BERT is computed by bert/forward.py, any other kind by Model Garden's own call, whose dropout is its own:
    `dropout_seed` means nothing to it.

    Args:
      held: a Model Garden encoder (BertEncoderV2, AlbertEncoder, …); built here if it is not yet.
      output_range: 1 if only [CLS] will be read: a BERT's last layer then computes nothing else. None: all positions.
      why: it is no BERT, for the line that says so.
    """

    def __init__(self, held: tf_keras.layers.Layer, output_range: int | None = None, why: str | None = None):
        if output_range not in (None, 1):
            raise ValueError("output_range is None (all positions) or 1 (only [CLS])")
        super().__init__(name="encoder", autocast=False)  # the call casts for itself
        garden.build(held)
        self.held, self.output_range = held, output_range
        self._kind = garden.read_kind(held)
        if self._kind is None and why is None:
            why = f"{type(held).__name__} with these settings is no BERT, and runs through Model Garden's own call"
        self.fallback = why
        self._replaced = SimpleNamespace(weights={})  # Keras would take a dict's variables for the layer's
        self.built = True

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Encodes a batch.

        Args:
          inputs: input_word_ids, input_mask (1 for tokens, 0 for padding), input_type_ids: <int32>[batch, seq]; or
            input_mask and hidden_states <float32>[batch, seq, hidden], which `run_frozen` made.
          training: whether dropout is applied; a BERT's frozen layers are fixed functions and have none.
          dropout_seed: <int32>[2], (run seed, step); or [3], with the number of the first row in the batch that these are
            part of. None draws one.

        Returns:
          sequence_output <float32>[batch, seq, hidden] (seq is 1 with output_range=1) and
          pooled_output <float32>[batch, hidden].
        """
        if self._kind is None:
            return garden.call(self.held, inputs)
        if not training:
            dropout_seed = None
        elif dropout_seed is None:
            dropout_seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        only_cls = self.output_range == 1
        return run_bert(self._kind, self._read_weights(), inputs, dropout_seed, self.frozen_depth, only_cls)

    def run_frozen(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""
        return run_frozen(self._kind, self._read_weights(), inputs, self.frozen_depth)

    @property
    def layers(self) -> EncoderLayers:
        """Its layers, to freeze, count and draw them."""
        return garden.tell_layers(self.held)

    @property
    def named_weights(self) -> dict[str, tf.Variable]:
        """A BERT's variables by the names of google-research/bert; empty for any other kind."""
        return {} if self._kind is None else garden.named_variables(self.held)

    @property
    def frozen_depth(self) -> int:
        """How much of a BERT, from below, does not learn: 0 nothing, 1 the embeddings, 1 + n also n layers."""
        embeddings, transformer, _ = self.layers
        if self._kind is None or any(layer.trainable for layer in embeddings):
            return 0
        learning = (number for number, layer in enumerate(transformer) if layer.trainable)
        return 1 + next(learning, len(transformer))

    @contextlib.contextmanager
    def replaced(self, weights: Mapping[str, Any]) -> Iterator[None]:
        """While it lasts, a BERT is computed from these in place of its own weights of the same names."""
        before = self._replaced.weights
        self._replaced.weights = {**before, **weights}
        try:
            yield
        finally:
            self._replaced.weights = before

    @contextlib.contextmanager
    def joined_attention(self) -> Iterator[None]:
        """While it lasts, a BERT's query, key and value are the weights of one product, as they are now.

        For graphs that are only inferred with: they need not join the three at each call.
        """
        joined = {}
        if self._kind is not None:
            joined = lay_out_weights(self._kind, self._read_weights(), only_cls=self.output_range == 1)
        variables = {name: tf.Variable(weight, trainable=False, name=name) for name, weight in joined.items()}
        with self.replaced(variables):
            yield

    def _read_weights(self) -> Mapping[str, tf.Tensor]:
        return _ReadWeights({**self.named_weights, **self._replaced.weights}, self.compute_dtype)

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """In a checkpoint an encoder is the one that it holds, so that Model Garden can read it and write it."""
        if save_type == "checkpoint":
            return self.held._trackable_children(save_type, **kwargs)
        return super()._trackable_children(save_type, **kwargs)


class _ReadWeights(Mapping[str, tf.Tensor]):
    """Weights as bert/forward.py takes them: Google's shapes, those of products in the compute type.

    Each is read when it is first asked for, and whole: TensorFlow copies a variable at each later read once a gather has
    read it directly, and a slice of one ties it to the graph in a cycle that Python cannot free.
    """

    def __init__(self, variables: Mapping[str, Any], dtype: str):
        self._variables, self._dtype, self._read = variables, dtype, {}

    def __getitem__(self, name: str) -> tf.Tensor:
        if name not in self._read:
            weight = tf.convert_to_tensor(self._variables[name])
            if name.endswith(("kernel", "bias")):
                weight = tf.cast(tf.reshape(weight, garden.flat_shape(name, weight.shape)), self._dtype)
            self._read[name] = weight
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def make_encoder(architecture: BertArchitecture, seed: int | None, output_range: int | None = None) -> Encoder:
    """Builds a BERT with weights drawn as BERT's: normal (0.02, cut at two deviations), biases 0, LayerNorm 1.

    Args:
      architecture: sizes and constants.
      seed: the same seed gives the same weights on any device. None: no weights are drawn, for others will be loaded.
      output_range: 1 to compute only [CLS] in the last layer.
    """
    encoder = Encoder(garden.make_bert(architecture), output_range)
    if seed is None:
        return encoder
    with tf.device("CPU:0"):
        for number, variable in enumerate(encoder.trainable_variables):
            if variable.name.endswith(("kernel:0", "embeddings:0")):
                variable.assign(tf.random.stateless_truncated_normal(variable.shape, [seed, number], stddev=0.02))
    return encoder
