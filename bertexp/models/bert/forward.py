"""BERT as a function of its named weights."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from bertexp.interfaces import WORDS
from bertexp.models.bert.dropout import apply_mask, draw_mask, fold
from bertexp.models.bert.layer import Weights, dense, lay_out_attention, normalize, pick_layer, run_layer
from bertexp.models.source.architecture import BertArchitecture

Inputs = dict[str, tf.Tensor]


class Training(NamedTuple):
    """What a call that trains has more than one that infers."""

    seed: tf.Tensor  # of dropout, as dropout.py takes it
    closed_gradients: bool = True  # those of gradients.py, or TensorFlow's own


def run_bert(
    bert: BertArchitecture,
    weights: Weights,
    inputs: Inputs,
    training: Training | None = None,
    frozen_depth: int = 0,
    only_cls: bool = False,
) -> dict[str, tf.Tensor]:
    """BERT (Devlin et al. 2019), equal to Model Garden's BertEncoderV2 on the same weights.

    - Each layer is a call of one graph, with one [batch * seq, hidden] matrix product per kernel (layer.py).
    - Dropout is stateless: the outputs are a pure function of (weights, batch, seed). Frozen layers have none.
    - LayerNorm, softmax and GELU are computed in float32, products in the type of the kernels.

    Args:
      bert: its sizes and constants.
      weights: by the names of google-research/bert and in its shapes: kernels <float>[inputs, outputs] and biases in
        the type that products are computed in, tables and LayerNorms <float32>.
      inputs: input_word_ids, input_mask (1 for tokens, 0 for padding), input_type_ids: <int32>[batch, seq]; or
        input_mask and hidden_states <float32>[batch, seq, hidden], which `run_frozen` made.
      training: None drops nothing.
      frozen_depth: how much from below is a fixed function: 0 nothing, 1 the embeddings, 1 + n also n layers.
      only_cls: whether the last layer computes nothing but [CLS].

    Returns:
      sequence_output <float32>[batch, seq, hidden] (seq is 1 with `only_cls`) and pooled_output <float32>[batch, hidden].
    """
    hidden, first = weights[WORDS].shape[1], 0
    if "hidden_states" in inputs:
        x, first = tf.reshape(inputs["hidden_states"], [-1, hidden]), frozen_depth - 1
    else:
        x = _embed(bert, weights, inputs, None if frozen_depth else training)
    for number in range(first, bert.num_layers):
        own = None if number < frozen_depth - 1 else training
        is_last = number == bert.num_layers - 1
        x = _run_layer(bert, weights, number, x, inputs["input_mask"], own, only_cls and is_last)
    batch, seq = tf.unstack(tf.shape(inputs["input_mask"]))
    sequence = tf.reshape(x, tf.stack([batch, 1 if only_cls else seq, hidden]))
    states = tf.cast(sequence[:, 0], weights["bert/pooler/dense/kernel"].dtype)
    pooled = tf.tanh(dense(states, weights, "bert/pooler/dense"))
    return {"sequence_output": sequence, "pooled_output": tf.cast(pooled, tf.float32)}


def run_frozen(bert: BertArchitecture, weights: Weights, inputs: Inputs, frozen_depth: int) -> tf.Tensor:
    """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""
    x = _embed(bert, weights, inputs, None)
    for number in range(frozen_depth - 1):
        x = _run_layer(bert, weights, number, x, inputs["input_mask"], None, only_cls=False)
    return tf.reshape(x, tf.concat([tf.shape(inputs["input_mask"]), [x.shape[1]]], 0))


def lay_out_weights(bert: BertArchitecture, weights: Weights, only_cls: bool) -> dict[str, tf.Tensor]:
    """What each call would make anew of query, key and value (`lay_out_attention`), for graphs that find it made."""
    laid_out = {}
    for number in range(bert.num_layers):
        laid_out |= lay_out_attention(weights, number, bert.num_heads, only_cls and number == bert.num_layers - 1)
    return laid_out


def _embed(bert: BertArchitecture, weights: Weights, inputs: Inputs, training: Training | None) -> tf.Tensor:
    """<float32>[batch * seq, hidden]: the sum of the three embeddings, normalized."""
    dtype, (batch, seq) = weights["bert/pooler/dense/kernel"].dtype, tf.unstack(tf.shape(inputs["input_word_ids"]))
    embedded = tf.cast(tf.gather(weights[WORDS], inputs["input_word_ids"]), dtype)
    types = weights.get("bert/embeddings/token_type_embeddings")
    if types is not None:  # a product with one-hot rows, for its gradient is dense and cheap
        chosen = tf.one_hot(inputs["input_type_ids"], types.shape[0], dtype=dtype)
        embedded += tf.matmul(chosen, tf.cast(types, dtype))
    embedded += tf.cast(weights["bert/embeddings/position_embeddings"][:seq], dtype)
    hidden, closed = weights[WORDS].shape[1], training is not None and training.closed_gradients
    x = normalize(
        tf.reshape(embedded, [-1, hidden]), weights, "bert/embeddings/LayerNorm", bert.layer_norm_epsilon, closed
    )
    if training is None:
        return x
    rate = bert.hidden_dropout
    return apply_mask(x, draw_mask(batch, seq * hidden, rate, fold(training.seed, 0)), rate)


def _run_layer(
    bert: BertArchitecture,
    weights: Weights,
    number: int,
    x: tf.Tensor,
    tokens: tf.Tensor,
    training: Training | None,
    only_cls: bool,
) -> tf.Tensor:
    """A layer's outputs for <float32>[batch * seq, hidden]: the same, or [batch, hidden] with `only_cls`."""
    own = pick_layer(weights, number, bert.num_heads, only_cls)
    if training is None:
        return run_layer(bert, x, tokens, own)
    batch, seq = tf.unstack(tf.shape(tokens))
    positions = 1 if only_cls else seq
    scores = (bert.num_heads * positions * seq, bert.attention_dropout)
    width = (positions * x.shape[1], bert.hidden_dropout)
    seeds = (fold(training.seed, 3 * number + 1 + site) for site in range(3))
    masks = (draw_mask(batch, *one, seed) for one, seed in zip((scores, width, width), seeds, strict=True))
    drawn = tuple(mask for mask in masks if mask is not None)
    return run_layer(bert, x, tokens, own, drawn, training.closed_gradients)
