"""BERT as a function of its named weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from bertexp.interfaces import WORDS
from bertexp.models.bert.dropout import apply_mask, draw_mask, fold
from bertexp.models.bert.layer import LayerKind, Norm, lay_out_attention, normalize, pick_layer, run_layer
from bertexp.models.bert.ops import dense

Weights = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class BertKind:
    """What two BERTs may differ in, beside their weights."""

    num_layers: int
    num_heads: int
    activation: str  # a name in layer.ACTIVATIONS
    epsilon: float  # of LayerNorm
    dropout: float  # rate after the embeddings, the attention and the layers
    attention_dropout: float  # rate of the attention's weights

    def of_layer(self, training: bool) -> LayerKind:
        """What the graph of one layer depends on."""
        rates = (self.attention_dropout, self.dropout) if training else (0.0, 0.0)
        return LayerKind(self.num_heads, self.activation, self.epsilon, training, *rates)


def run_bert(
    kind: BertKind,
    weights: Weights,
    inputs: Mapping[str, tf.Tensor],
    seed: tf.Tensor | None = None,
    frozen_depth: int = 0,
    only_cls: bool = False,
) -> dict[str, tf.Tensor]:
    """BERT (Devlin et al. 2019), equal to Model Garden's BertEncoderV2 on the same weights.

    - Each layer is a call of one graph, with one [batch * seq, hidden] matrix product per kernel (layer.py).
    - Dropout is stateless: the outputs are a pure function of (weights, batch, seed). Frozen layers have none.
    - LayerNorm, softmax and GELU are computed in float32, products in the type of the kernels.

    Args:
      kind: of the BERT.
      weights: by the names of google-research/bert and in its shapes: kernels <float>[inputs, outputs] and biases in
        the type that products are computed in, tables and LayerNorms <float32>.
      inputs: input_word_ids, input_mask (1 for tokens, 0 for padding), input_type_ids: <int32>[batch, seq]; or
        input_mask and hidden_states <float32>[batch, seq, hidden], which `run_frozen` made.
      seed: of dropout, as dropout.py takes it; None drops nothing.
      frozen_depth: how much from below is a fixed function: 0 nothing, 1 the embeddings, 1 + n also n layers.
      only_cls: whether the last layer computes nothing but [CLS].

    Returns:
      sequence_output <float32>[batch, seq, hidden] (seq is 1 with `only_cls`) and pooled_output <float32>[batch, hidden].
    """
    hidden, first = weights[WORDS].shape[1], 0
    if "hidden_states" in inputs:
        x, first = tf.reshape(inputs["hidden_states"], [-1, hidden]), frozen_depth - 1
    else:
        x = _embed(kind, weights, inputs, None if frozen_depth else seed)
    for number in range(first, kind.num_layers):
        is_fixed, is_last = number < frozen_depth - 1, number == kind.num_layers - 1
        x = _run_layer(kind, weights, number, x, inputs["input_mask"], None if is_fixed else seed, only_cls and is_last)
    batch, seq = tf.unstack(tf.shape(inputs["input_mask"]))
    sequence = tf.reshape(x, tf.stack([batch, 1 if only_cls else seq, hidden]))
    kernel, bias = (weights[f"bert/pooler/dense/{name}"] for name in ("kernel", "bias"))
    pooled = tf.tanh(dense(tf.cast(sequence[:, 0], kernel.dtype), kernel, bias))
    return {"sequence_output": sequence, "pooled_output": tf.cast(pooled, tf.float32)}


def run_frozen(kind: BertKind, weights: Weights, inputs: Mapping[str, tf.Tensor], frozen_depth: int) -> tf.Tensor:
    """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""
    x = _embed(kind, weights, inputs, None)
    for number in range(frozen_depth - 1):
        x = _run_layer(kind, weights, number, x, inputs["input_mask"], None, only_cls=False)
    return tf.reshape(x, tf.concat([tf.shape(inputs["input_mask"]), [x.shape[1]]], 0))


def lay_out_weights(kind: BertKind, weights: Weights, only_cls: bool) -> dict[str, tf.Tensor]:
    """What each call would make anew of query, key and value (`lay_out_attention`), for graphs that find it made."""
    laid_out = {}
    for number in range(kind.num_layers):
        laid_out |= lay_out_attention(weights, number, kind.num_heads, only_cls and number == kind.num_layers - 1)
    return laid_out


def _embed(kind: BertKind, weights: Weights, inputs: Mapping[str, tf.Tensor], seed: tf.Tensor | None) -> tf.Tensor:
    """<float32>[batch * seq, hidden]: the sum of the three embeddings, normalized."""
    dtype, (batch, seq) = weights["bert/pooler/dense/kernel"].dtype, tf.unstack(tf.shape(inputs["input_word_ids"]))
    embedded = tf.cast(tf.gather(weights[WORDS], inputs["input_word_ids"]), dtype)
    types = weights.get("bert/embeddings/token_type_embeddings")
    if types is not None:  # a product with one-hot rows, for its gradient is dense and cheap
        chosen = tf.one_hot(inputs["input_type_ids"], types.shape[0], dtype=dtype)
        embedded += tf.matmul(chosen, tf.cast(types, dtype))
    embedded += tf.cast(weights["bert/embeddings/position_embeddings"][:seq], dtype)
    norm = Norm(*(weights[f"bert/embeddings/LayerNorm/{name}"] for name in Norm._fields))
    hidden = weights[WORDS].shape[1]
    x = normalize(tf.reshape(embedded, [-1, hidden]), norm, kind.epsilon, training=seed is not None)
    return (
        x if seed is None else apply_mask(x, draw_mask(batch, seq * hidden, kind.dropout, fold(seed, 0)), kind.dropout)
    )


def _run_layer(
    kind: BertKind,
    weights: Weights,
    number: int,
    x: tf.Tensor,
    tokens: tf.Tensor,
    seed: tf.Tensor | None,
    only_cls: bool,
) -> tf.Tensor:
    """A layer's outputs for <float32>[batch * seq, hidden]: the same, or [batch, hidden] with `only_cls`."""
    own = pick_layer(weights, number, kind.num_heads, only_cls)
    masks = () if seed is None else _draw_masks(kind, number, tf.shape(tokens), x.shape[1], seed, only_cls)
    return run_layer(kind.of_layer(training=seed is not None), x, tokens, own, masks)


def _draw_masks(
    kind: BertKind, number: int, shape: tf.Tensor, hidden: int, seed: tf.Tensor, only_cls: bool
) -> tuple[tf.Tensor, ...]:
    """The dropout masks of a layer: of its attention, of that one's output and of its own."""
    batch, seq = tf.unstack(shape)
    positions = 1 if only_cls else seq
    scores, width = (kind.num_heads * positions * seq, kind.attention_dropout), (positions * hidden, kind.dropout)
    drawn = (draw_mask(batch, *one, fold(seed, 3 * number + 1 + n)) for n, one in enumerate((scores, width, width)))
    return tuple(mask for mask in drawn if mask is not None)
