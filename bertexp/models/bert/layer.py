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


class ByHead(NamedTuple):
    """Of a layer in which [CLS] alone attends: key and value by head, kernels <float>[heads, hidden, size]."""

    query: Dense
    key: Dense
    value: Dense


class LayerWeights(NamedTuple):
    """``attention``: query (scaled), key and value side by side, <float>[hidden, 3 * hidden]; or by head."""

    attention: Dense | ByHead
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

    What ``lay_out_attention`` makes is made here, unless it is among the weights.
    """
    layer = f"bert/encoder/layer_{number}"
    own = f"{layer}/attention/self"
    is_laid_out = (f"{own}/key_by_head" if only_cls else f"{own}/query_key_value/kernel") in weights
    laid_out = weights if is_laid_out else lay_out_attention(weights, number, heads, only_cls)
    if only_cls:
        key, value = (
            Dense(laid_out[f"{own}/{name}_by_head"], weights[f"{own}/{name}/bias"]) for name in ("key", "value")
        )
        attention = ByHead(_pick(weights, f"{own}/query", Dense), key, value)
    else:
        attention = _pick(laid_out, f"{own}/query_key_value", Dense)
    return LayerWeights(
        attention,
        _pick(weights, f"{layer}/attention/output/dense", Dense),
        _pick(weights, f"{layer}/attention/output/LayerNorm", Norm),
        _pick(weights, f"{layer}/intermediate/dense", Dense),
        _pick(weights, f"{layer}/output/dense", Dense),
        _pick(weights, f"{layer}/output/LayerNorm", Norm),
    )


def lay_out_attention(
    weights: Mapping[str, tf.Tensor], number: int, heads: int, only_cls: bool
) -> dict[str, tf.Tensor]:
    """Query, key and value of layer ``number`` as it multiplies by them, by names of their own.

    If every position attends, they are one product: query (scaled), key and value side by side.
    """
    own = f"bert/encoder/layer_{number}/attention/self"
    query, key, value = (_pick(weights, f"{own}/{name}", Dense) for name in ByHead._fields)
    hidden = query.kernel.shape[0]
    if only_cls:
        by_head = (tf.reshape(part.kernel, [hidden, heads, hidden // heads]) for part in (key, value))
        names = (f"{own}/{name}_by_head" for name in ("key", "value"))
        return {name: tf.transpose(kernel, [1, 0, 2]) for name, kernel in zip(names, by_head, strict=True)}
    scaled = Dense(*(tensor * (hidden // heads) ** -0.5 for tensor in query))
    kernels, biases = zip(scaled, key, value, strict=True)
    joined = {"kernel": tf.concat(kernels, axis=1), "bias": tf.concat(biases, axis=0)}
    return {f"{own}/query_key_value/{name}": weight for name, weight in joined.items()}


def _pick(weights: Mapping[str, tf.Tensor], name: str, kind: type[_Owner]) -> _Owner:
    """A dense layer or a LayerNorm by its name."""
    return kind(*(weights[f"{name}/{field}"] for field in kind._fields))


def run_layer(
    kind: LayerKind, vectors: tf.Tensor, tokens: tf.Tensor, weights: LayerWeights, masks: tuple[tf.Tensor, ...]
) -> tf.Tensor:
    """One post-norm transformer layer.

    Args:
      kind: which layer; the calls of one kind and of weights of like sizes are calls of one graph.
      vectors: <float32>[batch * seq, hidden].
      tokens: <int>[batch, seq], 1 for tokens, 0 for padding.
      weights: of this layer.
      masks: of dropout, one for each rate that drops anything, in the order attention, attention's output, layer's
        output: <bool>[batch, elements of a row].

    Returns:
      <float32>[batch * seq, hidden], or [batch, hidden] where [CLS] alone attends.
    """
    specs = tf.nest.map_structure(lambda weight: tf.TensorSpec(weight.shape, weight.dtype), weights)
    return _traced(kind, specs)(vectors, tf.cast(tokens, tf.int32), weights, masks)


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

    def transformer_layer(vectors, tokens, weights, masks):
        return _transform(kind, vectors, tokens, weights, list(masks))

    return tf.function(transformer_layer, input_signature=signature, autograph=False).get_concrete_function()


def _transform(kind: LayerKind, vectors, tokens, weights: LayerWeights, masks: list[tf.Tensor]) -> tf.Tensor:
    def drop(x: tf.Tensor, rate: float) -> tf.Tensor:
        return apply_mask(x, masks.pop(0) if threshold(rate) else None, rate)

    def cast(x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, weights.output.kernel.dtype)

    def attend(scores: tf.Tensor) -> tf.Tensor:
        return cast(drop(tf.nn.softmax(tf.cast(scores, tf.float32)), kind.attention_dropout))

    hidden = vectors.shape[1]
    bias = (1.0 - tf.cast(tokens, tf.float32)) * -1e9
    if isinstance(weights.attention, ByHead):
        vectors, context = _attend_cls(vectors, cast, bias, weights.attention, attend)
    else:
        context = _attend(cast(vectors), bias, weights.attention, kind.heads, attend)
    attended = drop(dense(tf.reshape(context, [-1, hidden]), *weights.output), kind.dropout)
    vectors = normalize(vectors + tf.cast(attended, tf.float32), weights.output_norm, kind.epsilon, kind.training)
    inner = tf.cast(dense(cast(vectors), *weights.inner), tf.float32)
    outer = drop(dense(cast(_activate(kind, inner)), *weights.outer, training=kind.training), kind.dropout)
    return normalize(vectors + tf.cast(outer, tf.float32), weights.outer_norm, kind.epsilon, kind.training)


def _attend(vectors, bias, projection: Dense, heads: int, attend) -> tf.Tensor:
    """Every position attends to every position: context <float>[batch, seq, heads, size]."""
    shape = tf.concat([tf.shape(bias), [3, heads, vectors.shape[1] // heads]], 0)
    query, key, value = tf.unstack(tf.transpose(tf.reshape(dense(vectors, *projection), shape), [2, 0, 3, 1, 4]))
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias[:, None, None, :]
    return tf.transpose(tf.matmul(attend(scores), value), [0, 2, 1, 3])


def _attend_cls(vectors, cast, bias, heads: ByHead, attend) -> tuple[tf.Tensor, tf.Tensor]:
    """Only [CLS] attends: its vectors <float32>[batch, hidden] and its context <float>[batch, heads, size].

    With one query per head no keys and values are projected: its score q . (x Wk + bk) is (Wk q) . x + q . bk, and its
    context sum_s p_s (x_s Wv + bv) is (sum_s p_s x_s) Wv + (sum_s p_s) bv.
    """
    count, hidden, size = heads.key.kernel.shape

    def per_head(x: tf.Tensor, kernel: tf.Tensor, transpose: bool = False) -> tf.Tensor:
        """[batch, heads, inputs] times a kernel for each head."""
        return tf.transpose(tf.matmul(tf.transpose(x, [1, 0, 2]), kernel, transpose_b=transpose), [1, 0, 2])

    vectors = tf.reshape(vectors, tf.concat([tf.shape(bias), [hidden]], 0))
    states = cast(vectors)
    query = tf.reshape(dense(states[:, 0], *heads.query) * size**-0.5, [-1, count, size])
    lifted = per_head(query, heads.key.kernel, transpose=True)
    scores = tf.matmul(lifted, states, transpose_b=True)
    scores += tf.reduce_sum(query * tf.reshape(heads.key.bias, [count, size]), -1, keepdims=True)
    weights = attend(tf.cast(scores, tf.float32) + bias[:, None, :])  # [batch, heads, seq]
    mixed = per_head(tf.matmul(weights, states), heads.value.kernel)
    added = tf.reduce_sum(weights, -1, keepdims=True) * tf.reshape(heads.value.bias, [count, size])
    return vectors[:, 0], mixed + added


def normalize(vectors: tf.Tensor, norm: Norm, epsilon: float, training: bool) -> tf.Tensor:
    """LayerNorm of <float>[n, hidden], in float32; in inference as Keras writes it, for TensorFlow fuses that."""
    if training:
        return layer_norm(vectors, *norm, epsilon)
    vectors = tf.cast(vectors, tf.float32)[None]
    mean, variance = tf.nn.moments(vectors, [-1], keepdims=True)
    return tf.nn.batch_normalization(vectors, mean, variance, norm.beta, norm.gamma, epsilon)[0]


def _activate(kind: LayerKind, x: tf.Tensor) -> tf.Tensor:
    """GELU with a gradient of ours in training, any other activation as it is."""
    if kind.training and kind.activation.startswith("gelu"):
        return gelu(x, approximate=kind.activation == "gelu_tanh")
    return ACTIVATIONS[kind.activation](x)
