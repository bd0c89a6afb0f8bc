"""A transformer layer as a function of its weights.

All layers of an encoder, and all parts of a batch, are calls of one graph, which is traced once: a deep encoder's first step
hardly comes later than a shallow one's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import tensorflow as tf

from bertexp.models.bert.dropout import apply_mask, threshold
from bertexp.models.bert.ops import dense, gelu, layer_norm

ACTIVATIONS = {
    "gelu_tanh": functools.partial(tf.nn.gelu, approximate=True),
    "gelu_erf": functools.partial(tf.nn.gelu, approximate=False),
    "relu": tf.nn.relu,
}
_Owner = TypeVar("_Owner", "Dense", "Norm")


class Dense(NamedTuple):
    """kernel <float>[inputs, outputs] and bias <float>[outputs]."""

    kernel: tf.Tensor
    bias: tf.Tensor


class Norm(NamedTuple):
    """A LayerNorm's scale and offset, <float32>[hidden]."""

    gamma: tf.Tensor
    beta: tf.Tensor


class Heads(NamedTuple):
    """Query, key and value; where [CLS] alone attends by head: kernels <float>[hidden, heads, size], biases <float>[heads, size]."""

    query: Dense
    key: Dense
    value: Dense


class LayerWeights(NamedTuple):
    """``attention``: query (scaled), key and value side by side <float>[hidden, 3 * hidden]; by head if [CLS] alone attends."""

    attention: Dense | Heads
    output: Dense
    output_norm: Norm
    inner: Dense
    outer: Dense
    outer_norm: Norm


class LayerKind(NamedTuple):
    """What a layer's graph depends on, beside the weights' sizes; the dropout rates are 0 where nothing is dropped."""

    heads: int
    activation: str  # a name in ACTIVATIONS
    epsilon: float
    training: bool
    attention_dropout: float
    dropout: float


def pick_layer(weights: Mapping[str, tf.Tensor], number: int, heads: int, only_cls: bool) -> LayerWeights:
    """The weights of layer ``number`` out of an encoder's, which go by Google's names.

    Query, key and value are joined here, unless they come joined (``joined_name``).
    """
    joined = joined_name(number)
    if only_cls:
        apart = _pick_heads(weights, number)
        size = [heads, apart.query.bias.shape[0] // heads]
        attention = Heads(*(Dense(tf.reshape(part.kernel, [-1, *size]), tf.reshape(part.bias, size)) for part in apart))
    elif f"{joined}/kernel" in weights:
        attention = _pick(weights, joined, Dense)
    else:
        attention = join_heads(weights, number, heads)
    layer = f"bert/encoder/layer_{number}"
    return LayerWeights(
        attention,
        _pick(weights, f"{layer}/attention/output/dense", Dense),
        _pick(weights, f"{layer}/attention/output/LayerNorm", Norm),
        _pick(weights, f"{layer}/intermediate/dense", Dense),
        _pick(weights, f"{layer}/output/dense", Dense),
        _pick(weights, f"{layer}/output/LayerNorm", Norm),
    )


def join_heads(weights: Mapping[str, tf.Tensor], number: int, heads: int) -> Dense:
    """One product for three: query (scaled), key and value of a layer side by side."""
    parts = _pick_heads(weights, number)
    size = parts.query.bias.shape[0] // heads
    query = Dense(*(tensor * size**-0.5 for tensor in parts.query))
    kernels, biases = zip(query, parts.key, parts.value, strict=True)
    return Dense(tf.concat(kernels, axis=1), tf.concat(biases, axis=0))


def joined_name(number: int) -> str:
    """What query, key and value go by if they come joined."""
    return f"bert/encoder/layer_{number}/attention/self/query_key_value"


def _pick_heads(weights: Mapping[str, tf.Tensor], number: int) -> Heads:
    return Heads(
        *(_pick(weights, f"bert/encoder/layer_{number}/attention/self/{name}", Dense) for name in Heads._fields)
    )


def _pick(weights: Mapping[str, tf.Tensor], name: str, kind: type[_Owner]) -> _Owner:
    """A dense layer or a LayerNorm by its name."""
    return kind(*(weights[f"{name}/{field}"] for field in kind._fields))


def run_layer(
    kind: LayerKind, rows: tf.Tensor, tokens: tf.Tensor, weights: LayerWeights, masks: tuple[tf.Tensor, ...]
) -> tf.Tensor:
    """One post-norm transformer layer.

    Args:
      kind: which layer; the calls of one kind and of weights of like sizes are calls of one graph.
      rows: <float32>[batch * seq, hidden].
      tokens: <int>[batch, seq], 1 for tokens, 0 for padding.
      weights: of this layer.
      masks: of dropout, one for each rate that drops anything, in the order attention, attention's output, layer's
        output: <bool>[batch, elements of a row].

    Returns:
      <float32>[batch * seq, hidden], or [batch, hidden] where [CLS] alone attends.
    """
    specs = tf.nest.map_structure(lambda weight: tf.TensorSpec(weight.shape, weight.dtype), weights)
    return _traced(kind, specs)(rows, tf.cast(tokens, tf.int32), weights, masks)


@functools.lru_cache(maxsize=32)  # a sweep may go through many rates
def _traced(kind: LayerKind, weights: LayerWeights) -> Callable[..., tf.Tensor]:
    """The graph for weights of these specs."""
    rates = [kind.attention_dropout, kind.dropout, kind.dropout]
    signature = [
        tf.TensorSpec([None, weights.output.bias.shape[0]], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
        weights,
        tuple(tf.TensorSpec([None, None], tf.bool) for rate in rates if threshold(rate)),
    ]

    def transformer_layer(rows, tokens, weights, masks):
        return _transform(kind, rows, tokens, weights, list(masks))

    return tf.function(transformer_layer, input_signature=signature, autograph=False).get_concrete_function()


def _transform(kind: LayerKind, rows, tokens, weights: LayerWeights, masks: list[tf.Tensor]) -> tf.Tensor:
    def drop(x: tf.Tensor, rate: float) -> tf.Tensor:
        return apply_mask(x, masks.pop(0) if threshold(rate) else None, rate)

    def cast(x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, weights.output.kernel.dtype)

    def attend(scores: tf.Tensor) -> tf.Tensor:
        return cast(drop(tf.nn.softmax(tf.cast(scores, tf.float32)), kind.attention_dropout))

    hidden = rows.shape[1]
    bias = (1.0 - tf.cast(tokens, tf.float32)) * -1e9
    if isinstance(weights.attention, Heads):
        rows, context = _attend_cls(rows, cast, bias, weights.attention, attend)
    else:
        context = _attend(cast(rows), bias, weights.attention, kind.heads, attend)
    attended = drop(dense(tf.reshape(context, [-1, hidden]), *weights.output), kind.dropout)
    rows = normalize(rows + tf.cast(attended, tf.float32), weights.output_norm, kind.epsilon, kind.training)
    inner = tf.cast(dense(cast(rows), *weights.inner), tf.float32)
    outer = drop(dense(cast(_activate(kind, inner)), *weights.outer, training=kind.training), kind.dropout)
    return normalize(rows + tf.cast(outer, tf.float32), weights.outer_norm, kind.epsilon, kind.training)


def _attend(rows, bias, projection: Dense, heads: int, attend) -> tf.Tensor:
    """Every position attends to every position: context <float>[batch, seq, heads, size]."""
    shape = tf.concat([tf.shape(bias), [3, heads, rows.shape[1] // heads]], 0)
    query, key, value = tf.unstack(tf.transpose(tf.reshape(dense(rows, *projection), shape), [2, 0, 3, 1, 4]))
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias[:, None, None, :]
    return tf.transpose(tf.matmul(attend(scores), value), [0, 2, 1, 3])


def _attend_cls(rows, cast, bias, heads: Heads, attend) -> tuple[tf.Tensor, tf.Tensor]:
    """Only [CLS] attends: its rows <float32>[batch, hidden] and its context <float>[batch, heads, size].

    With one query per head no keys and values are projected: its score q . (x Wk + bk) is (Wk q) . x + q . bk, and its
    context sum_s p_s (x_s Wv + bv) is (sum_s p_s x_s) Wv + (sum_s p_s) bv.
    """
    hidden, count, size = heads.query.kernel.shape
    rows = tf.reshape(rows, tf.concat([tf.shape(bias), [hidden]], 0))
    states = cast(rows)
    query = dense(
        states[:, 0], tf.reshape(heads.query.kernel, [hidden, hidden]), tf.reshape(heads.query.bias, [hidden])
    )
    query = tf.reshape(query * size**-0.5, [-1, count, size])
    lifted = tf.einsum("bnd,hnd->bnh", query, heads.key.kernel)
    scores = tf.matmul(lifted, states, transpose_b=True) + tf.reduce_sum(query * heads.key.bias, -1, keepdims=True)
    weights = attend(tf.cast(scores, tf.float32) + bias[:, None, :])  # [batch, heads, seq]
    mixed = tf.einsum("bnh,hnd->bnd", tf.matmul(weights, states), heads.value.kernel)
    return rows[:, 0], mixed + tf.reduce_sum(weights, axis=-1, keepdims=True) * heads.value.bias


def normalize(rows: tf.Tensor, norm: Norm, epsilon: float, training: bool) -> tf.Tensor:
    """LayerNorm of <float>[rows, hidden], in float32; in inference as Keras writes it, for TensorFlow fuses that."""
    if training:
        return layer_norm(rows, *norm, epsilon)
    rows = tf.cast(rows, tf.float32)[None]
    mean, variance = tf.nn.moments(rows, [-1], keepdims=True)
    return tf.nn.batch_normalization(rows, mean, variance, norm.beta, norm.gamma, epsilon)[0]


def _activate(kind: LayerKind, x: tf.Tensor) -> tf.Tensor:
    """GELU with a gradient of ours in training, any other activation as it is."""
    if kind.training and kind.activation.startswith("gelu"):
        return gelu(x, approximate=kind.activation == "gelu_tanh")
    return ACTIVATIONS[kind.activation](x)
