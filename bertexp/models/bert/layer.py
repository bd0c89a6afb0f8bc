"""A transformer layer as a function of its weights.

All layers of an encoder, and all parts of a batch, are calls of one graph, which is traced once: a deep encoder's first step
hardly comes later than a shallow one's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import tensorflow as tf

from bertexp.models.bert import gradients
from bertexp.models.bert.dropout import apply_mask, threshold
from bertexp.models.source.architecture import BertArchitecture

ACTIVATIONS = {
    "gelu_tanh": functools.partial(tf.nn.gelu, approximate=True),
    "gelu_erf": functools.partial(tf.nn.gelu, approximate=False),
    "relu": tf.nn.relu,
}
Weights = Mapping[str, tf.Tensor]  # by Google's names, of an encoder or within a layer
_ALL_READ = ("query_key_value/kernel", "query_key_value/bias")  # if every position attends
_CLS_READS = ("query/kernel", "query/bias", "key/bias", "value/bias", "value_by_head", "key_by_head")


def pick_layer(weights: Weights, number: int, heads: int, only_cls: bool) -> Weights:
    """The weights of layer ``number`` out of an encoder's, by their names within the layer.

    What ``lay_out_attention`` makes is made here, unless it is among the weights.
    """
    layer = f"bert/encoder/layer_{number}/"
    names = [name.removeprefix(layer) for name in weights if name.startswith(layer) and "/self/" not in name]
    names += [f"attention/self/{name}" for name in (_CLS_READS if only_cls else _ALL_READ)]
    made = {} if layer + names[-1] in weights else lay_out_attention(weights, number, heads, only_cls)
    return {name: (made if layer + name in made else weights)[layer + name] for name in names}


def lay_out_attention(weights: Weights, number: int, heads: int, only_cls: bool) -> dict[str, tf.Tensor]:
    """Query, key and value of layer ``number`` as it multiplies by them, by names of their own.

    If every position attends, they are one product: query (scaled), key and value side by side, <float>[hidden, 3 * hidden]. If
    [CLS] alone does, key and value are laid out by head, <float>[heads, hidden, size].
    """
    own, names = f"bert/encoder/layer_{number}/attention/self", ("query", "key", "value")
    kernels, biases = ([weights[f"{own}/{name}/{part}"] for name in names] for part in ("kernel", "bias"))
    hidden = kernels[0].shape[0]
    size = hidden // heads
    if only_cls:
        by_head = [tf.transpose(tf.reshape(kernel, [hidden, heads, size]), [1, 0, 2]) for kernel in kernels[1:]]
        return {f"{own}/{name}_by_head": kernel for name, kernel in zip(names[1:], by_head, strict=True)}
    kernels[0], biases[0] = kernels[0] * size**-0.5, biases[0] * size**-0.5
    joined = {"kernel": tf.concat(kernels, axis=1), "bias": tf.concat(biases, axis=0)}
    return {f"{own}/query_key_value/{part}": weight for part, weight in joined.items()}


def run_layer(
    bert: BertArchitecture,
    vectors: tf.Tensor,
    tokens: tf.Tensor,
    weights: Weights,
    masks: tuple[tf.Tensor, ...] = (),
    closed: bool = False,
) -> tf.Tensor:
    """One post-norm transformer layer.

    Args:
      bert: its constants; the calls with equal ones and weights of like sizes are calls of one graph.
      vectors: <float32>[batch * seq, hidden].
      tokens: <int>[batch, seq], 1 for tokens, 0 for padding.
      weights: what ``pick_layer`` gives.
      masks: of dropout, one for each rate that drops anything, in the order attention, attention's output, layer's
        output: <bool>[batch, elements of a row]. (): nothing is dropped.
      closed: whether gradients are in closed form.

    Returns:
      <float32>[batch * seq, hidden], or [batch, hidden] if [CLS] alone attends.
    """
    specs = tuple((name, tf.TensorSpec(weight.shape, weight.dtype)) for name, weight in sorted(weights.items()))
    return _traced(bert, closed, len(masks), specs)(vectors, tf.cast(tokens, tf.int32), weights, masks)


@functools.lru_cache(maxsize=32)  # a sweep may go through many rates
def _traced(
    bert: BertArchitecture, closed: bool, masks: int, weights: tuple[tuple[str, tf.TensorSpec], ...]
) -> Callable[..., tf.Tensor]:
    """The graph for so many masks and weights of these names and specs."""
    signature = [
        tf.TensorSpec([None, dict(weights)["output/dense/bias"].shape[0]], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
        dict(weights),
        (tf.TensorSpec([None, None], tf.bool),) * masks,
    ]

    def transformer_layer(vectors, tokens, weights, masks):
        return _transform(bert, closed, vectors, tokens, weights, list(masks))

    return tf.function(transformer_layer, input_signature=signature, autograph=False).get_concrete_function()


def _transform(bert: BertArchitecture, closed: bool, vectors, tokens, weights: Weights, masks: list) -> tf.Tensor:
    def cast(x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, weights["output/dense/kernel"].dtype)

    def project(x: tf.Tensor, name: str) -> tf.Tensor:
        return dense(cast(x), weights, name)

    def drop(x: tf.Tensor, rate: float) -> tf.Tensor:
        return apply_mask(x, masks.pop(0) if masks and threshold(rate) else None, rate)

    def attend(scores: tf.Tensor) -> tf.Tensor:
        return cast(drop(tf.nn.softmax(tf.cast(scores, tf.float32)), bert.attention_dropout))

    def add(vectors: tf.Tensor, x: tf.Tensor, name: str) -> tf.Tensor:
        vectors += tf.cast(drop(x, bert.hidden_dropout), tf.float32)
        return normalize(vectors, weights, name, bert.layer_norm_epsilon, closed)

    hidden = vectors.shape[1]
    bias = (1.0 - tf.cast(tokens, tf.float32)) * -1e9
    if "attention/self/key_by_head" in weights:
        vectors, context = _attend_cls(vectors, bias, weights, project, attend)
    else:
        context = _attend(vectors, bias, bert.num_heads, project, attend)
    vectors = add(
        vectors, project(tf.reshape(context, [-1, hidden]), "attention/output/dense"), "attention/output/LayerNorm"
    )
    inner = _activate(bert.activation, tf.cast(project(vectors, "intermediate/dense"), tf.float32), closed)
    if closed and weights["output/dense/kernel"].shape[0] > hidden:
        product = gradients.narrowing_product(weights["output/dense/kernel"].dtype)
        outer = product(cast(inner), weights["output/dense/kernel"], weights["output/dense/bias"])
    else:
        outer = project(inner, "output/dense")
    return add(vectors, outer, "output/LayerNorm")


def _attend(vectors, bias, heads: int, project, attend) -> tf.Tensor:
    """Every position attends to every position: context <float>[batch, seq, heads, size]."""
    shape = tf.concat([tf.shape(bias), [3, heads, vectors.shape[1] // heads]], 0)
    projected = tf.reshape(project(vectors, "attention/self/query_key_value"), shape)
    query, key, value = tf.unstack(tf.transpose(projected, [2, 0, 3, 1, 4]))
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + bias[:, None, None, :]
    return tf.transpose(tf.matmul(attend(scores), value), [0, 2, 1, 3])


def _attend_cls(vectors, bias, weights: Weights, project, attend) -> tuple[tf.Tensor, tf.Tensor]:
    """Only [CLS] attends: its vectors <float32>[batch, hidden] and its context <float>[batch, heads, size].

    With one query per head no keys and values are projected: its score q . (x Wk + bk) is (Wk q) . x + q . bk, and its
    context sum_s p_s (x_s Wv + bv) is (sum_s p_s x_s) Wv + (sum_s p_s) bv.
    """
    key, value = (weights[f"attention/self/{name}_by_head"] for name in ("key", "value"))
    key_bias, value_bias = (weights[f"attention/self/{name}/bias"] for name in ("key", "value"))
    heads, hidden, size = key.shape

    def per_head(x: tf.Tensor, kernel: tf.Tensor, transpose: bool = False) -> tf.Tensor:
        """[batch, heads, inputs] times a kernel for each head."""
        return tf.transpose(tf.matmul(tf.transpose(x, [1, 0, 2]), kernel, transpose_b=transpose), [1, 0, 2])

    vectors = tf.reshape(vectors, tf.concat([tf.shape(bias), [hidden]], 0))
    states = tf.cast(vectors, key.dtype)
    query = tf.reshape(project(states[:, 0], "attention/self/query") * size**-0.5, [-1, heads, size])
    scores = tf.matmul(per_head(query, key, transpose=True), states, transpose_b=True)
    scores += tf.reduce_sum(query * tf.reshape(key_bias, [heads, size]), -1, keepdims=True)
    shares = attend(tf.cast(scores, tf.float32) + bias[:, None, :])  # [batch, heads, seq]
    mixed = per_head(tf.matmul(shares, states), value)
    return vectors[:, 0], mixed + tf.reduce_sum(shares, -1, keepdims=True) * tf.reshape(value_bias, [heads, size])


def dense(x: tf.Tensor, weights: Weights, name: str) -> tf.Tensor:
    """x <float>[vectors, inputs] times the kernel <float>[inputs, outputs] of that name, plus its bias: <float>[vectors, outputs]."""
    return tf.nn.bias_add(tf.matmul(x, weights[f"{name}/kernel"]), weights[f"{name}/bias"])


def normalize(vectors: tf.Tensor, weights: Weights, name: str, epsilon: float, closed: bool) -> tf.Tensor:
    """LayerNorm of <float>[vectors, hidden], in float32, with its gradient in closed form or TensorFlow's own."""
    vectors, gamma, beta = tf.cast(vectors, tf.float32), weights[f"{name}/gamma"], weights[f"{name}/beta"]
    if closed:
        return gradients.layer_norm(epsilon)(vectors, gamma, beta)
    mean, variance = tf.nn.moments(vectors[None], [-1], keepdims=True)  # as Keras writes it, for TensorFlow fuses that
    return tf.nn.batch_normalization(vectors[None], mean, variance, beta, gamma, epsilon)[0]


def _activate(name: str, x: tf.Tensor, closed: bool) -> tf.Tensor:
    if closed and name.startswith("gelu"):
        return gradients.gelu(name == "gelu_tanh")(x)
    return ACTIVATIONS[name](x)
