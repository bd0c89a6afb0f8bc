"""The encoder that is trained: it holds one of Model Garden's, and computes a BERT from its named weights."""

from __future__ import annotations

import bisect
import contextlib
from collections import UserDict
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import tensorflow as tf
import tf_keras

from bertexp.interfaces import FEATURES, EncoderLayers
from bertexp.models import garden
from bertexp.models.bert.dropout import call_seed
from bertexp.models.bert.forward import Inputs, Training, lay_out_weights, run_bert, run_frozen
from bertexp.models.source.architecture import BertArchitecture


class Encoder(tf_keras.layers.Layer):
    """Tokens to vectors (bertexp/interfaces.py), with the variables and the checkpoint of a Model Garden encoder.

    A BERT is computed by bert/forward.py, any other kind by Model Garden's own call, whose dropout is its own:
    `dropout_seed` means nothing to it.

    Args:
      held: a Model Garden encoder (BertEncoderV2, AlbertEncoder, …); built here if it is not yet.
      bert: what `garden.make_bert` has made it from; None for any other kind.
      only_cls: whether only [CLS] will be read: a BERT's last layer then computes nothing else.
      why: it is no BERT, for the line that says so.
    """

    def __init__(
        self, held: tf_keras.layers.Layer, bert: BertArchitecture | None = None, only_cls: bool = False, why: str = ""
    ):
        super().__init__(name="encoder", autocast=False)  # the call casts for itself
        garden.build(held)
        self.held, self._bert, self.only_cls = held, bert, only_cls
        own_call = (
            f"{type(held).__name__} is not known to be a BERT, and runs through Model Garden's own call: a run that goes on "
            "draws its dropout anew"
        )
        self.fallback = (why or own_call) if bert is None else None
        self.closed_gradients = True  # of a BERT in training; False: TensorFlow's own
        named = {} if bert is None else garden.named_variables(held)
        self._weights = SimpleNamespace(named=named, replaced={})  # Keras would take a dict's variables for the layer's
        self.built = True

    def call(
        self, inputs: Inputs, training: bool = False, dropout_seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Encodes a batch.

        Args:
          inputs: input_word_ids, input_mask (1 for tokens, 0 for padding), input_type_ids: <int32>[batch, seq]; or
            input_mask and hidden_states <float32>[batch, seq, hidden], which `run_frozen` made.
          training: whether dropout is applied; a BERT's frozen layers are fixed functions and have none.
          dropout_seed: <int32>[2], (run seed, step); or [3], with the number of the first row in the batch that these are
            part of. None draws one.

        Returns:
          sequence_output <float32>[batch, seq, hidden] (seq is 1 with only_cls) and
          pooled_output <float32>[batch, hidden].
        """
        if self._bert is None:
            return garden.call(self.held, inputs)
        how = Training(call_seed(dropout_seed), self.closed_gradients) if training else None
        return run_bert(self._bert, self._read_weights(), inputs, how, self.frozen_depth, self.only_cls)

    def run_frozen(self, inputs: Inputs) -> tf.Tensor:
        """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""
        return run_frozen(self._bert, self._read_weights(), inputs, self.frozen_depth)

    @property
    def layers(self) -> EncoderLayers:
        """Its layers, to freeze, count and draw them."""
        return garden.tell_layers(self.held)

    @property
    def named_weights(self) -> dict[str, tf.Variable]:
        """A BERT's variables by the names of google-research/bert; empty for any other kind."""
        return self._weights.named

    @property
    def frozen_depth(self) -> int:
        """How much of a BERT, from below, does not learn: 0 nothing, 1 the embeddings, 1 + n also n layers."""
        embeddings, transformer, _ = self.layers
        if self._bert is None or any(layer.trainable for layer in embeddings):
            return 0
        learning = (number for number, layer in enumerate(transformer) if layer.trainable)
        return 1 + next(learning, len(transformer))

    @contextlib.contextmanager
    def replaced(self, weights: Mapping[str, Any]) -> Iterator[None]:
        """While it lasts, a BERT is computed from these in place of its own weights of the same names."""
        before = self._weights.replaced
        self._weights.replaced = {**before, **weights}
        try:
            yield
        finally:
            self._weights.replaced = before

    @contextlib.contextmanager
    def joined_attention(self) -> Iterator[None]:
        """While it lasts, a BERT's query, key and value are the weights of one product, as they are now.

        For graphs that are only inferred with: they need not join the three at each call.
        """
        if self._bert is None:
            yield
            return
        joined = lay_out_weights(self._bert, self._read_weights(), self.only_cls)
        with self.replaced({name: tf.Variable(joined[name], trainable=False, name=name) for name in joined}):
            yield

    def _read_weights(self) -> Mapping[str, tf.Tensor]:
        return _ReadWeights({**self._weights.named, **self._weights.replaced}, self.compute_dtype)

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """In a checkpoint an encoder is the one that it holds, so that Model Garden can read it and write it."""
        if save_type == "checkpoint":
            return self.held._trackable_children(save_type, **kwargs)
        return super()._trackable_children(save_type, **kwargs)


class _ReadWeights(UserDict[str, tf.Tensor]):
    """Weights as bert/forward.py takes them: Google's shapes, those of products in the compute type.

    Each is read when it is first asked for, and whole: TensorFlow copies a variable at each later read once a gather has
    read it directly, and a slice of one ties it to the graph in a cycle that Python cannot free.
    """

    def __init__(self, variables: Mapping[str, Any], dtype: str):
        super().__init__(variables)
        self._dtype, self._unread = dtype, {*variables}

    def __getitem__(self, name: str) -> tf.Tensor:
        if name in self._unread:
            weight = tf.convert_to_tensor(self.data[name])
            if name.endswith(("kernel", "bias")):
                weight = tf.cast(tf.reshape(weight, garden.flat_shape(name, weight.shape)), self._dtype)
            self.data[name] = weight
            self._unread.remove(name)
        return self.data[name]


def count_positions(encoder: Encoder, most: int) -> int:
    """How many word pieces a text may have for an encoder that does not say so, up to ``most``: found by trying."""

    def refuses(length: int) -> bool:
        try:
            with tf.device("CPU:0"):  # which notices an index that lies outside of a table
                encoder(dict.fromkeys(FEATURES, tf.ones([1, length], tf.int32)))
        except (tf.errors.InvalidArgumentError, ValueError):
            return True
        return False

    return bisect.bisect_left(range(1, most + 1), True, key=refuses) if refuses(most) else most


def make_encoder(architecture: BertArchitecture, seed: int | None, only_cls: bool = False) -> Encoder:
    """Builds a BERT with weights drawn as BERT's: normal (0.02, cut at two deviations), biases 0, LayerNorm 1.

    Args:
      architecture: sizes and constants.
      seed: the same seed gives the same weights on any device. None: no weights are drawn, for others will be loaded.
      only_cls: whether the last layer computes [CLS] alone.
    """
    encoder = Encoder(garden.make_bert(architecture), architecture, only_cls)
    if seed is None:
        return encoder
    with tf.device("CPU:0"):
        for number, variable in enumerate(encoder.trainable_variables):
            if variable.name.endswith(("kernel:0", "embeddings:0")):
                variable.assign(tf.random.stateless_truncated_normal(variable.shape, [seed, number], stddev=0.02))
    return encoder
