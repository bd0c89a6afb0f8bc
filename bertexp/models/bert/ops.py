"""The few tensor operations that the encoder is written in."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import tensorflow as tf


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, training: bool = False) -> tf.Tensor:
    """x @ kernel + bias.

    Args:
      x: <float>[n, inputs].
      kernel: <float>[inputs, outputs].
      bias: <float>[outputs].
      training: lets the gradient be one of ours, where TensorFlow's own is slow.

    Returns:
      <float>[n, outputs].
    """
    if training and kernel.shape[1] < kernel.shape[0]:
        return _narrowing_product(x.dtype)(x, kernel, bias)
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def gelu(x: tf.Tensor, approximate: bool) -> tf.Tensor:
    """GELU (Hendrycks and Gimpel 2016, section 2), exact or approximated by tanh: <float32>[...] -> the same."""
    return _gelu(approximate)(x)


def layer_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Layer normalization (Ba et al. 2016) over the last axis, in float32.

    Args:
      x: <float>[n, width].
      gamma, beta: <float32>[width].
      epsilon: added to the variance.

    Returns:
      <float32>[n, width].
    """
    return _normalizer(epsilon)(tf.cast(x, tf.float32), gamma, beta)


# TensorFlow registers a custom gradient for good, with the graph around it. Each of these is therefore traced once, as one
# graph for all models, which holds only its own.


@functools.cache
def _narrowing_product(dtype: tf.DType) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Dense layer with fewer outputs than inputs: oneDNN's batched product gives its kernel's gradient a third faster."""

    @tf.custom_gradient
    def product(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor):
        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            d_kernel = tf.raw_ops.BatchMatMulV2(x=x[None], y=dy[None], adj_x=True)[0]
            return tf.matmul(dy, kernel, transpose_b=True), d_kernel, tf.raw_ops.BiasAddGrad(out_backprop=dy)

        return tf.nn.bias_add(tf.matmul(x, kernel), bias), gradient

    matrix, vector = tf.TensorSpec([None, None], dtype), tf.TensorSpec([None], dtype)
    return tf.function(product, input_signature=[matrix, matrix, vector], autograph=False)


@functools.cache
def _gelu(approximate: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """GELU in fewer passes over memory than the sum of its parts' gradients."""
    linear, cubic = math.sqrt(2 / math.pi), math.sqrt(2 / math.pi) * 0.044715

    @tf.custom_gradient
    def exact(x: tf.Tensor):
        share = 0.5 * tf.math.erf(x * math.sqrt(0.5)) + 0.5

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            return dy * (share + x * (tf.exp(-0.5 * tf.square(x)) * (1.0 / math.sqrt(2 * math.pi))))

        return x * share, gradient

    @tf.custom_gradient
    def by_tanh(x: tf.Tensor):
        tanh = tf.tanh(x * (cubic * tf.square(x) + linear))
        share = 0.5 * tanh + 0.5

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            slope = x * ((1.5 * cubic) * tf.square(x) + 0.5 * linear)
            return dy * (share + tf.raw_ops.TanhGrad(y=tanh, dy=slope))

        return x * share, gradient

    activate = by_tanh if approximate else exact
    return tf.function(activate, input_signature=[tf.TensorSpec(None, tf.float32)], autograph=False)


@functools.cache
def _normalizer(epsilon: float) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """The normalization with its gradient in closed form."""

    @tf.custom_gradient
    def normalize(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor):
        centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + epsilon)
        unit = centered * inverse

        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            d_unit = dy * gamma
            shared = tf.reduce_mean(d_unit, axis=-1, keepdims=True)
            along = tf.reduce_mean(d_unit * unit, axis=-1, keepdims=True)
            dx = (d_unit - shared - unit * along) * inverse
            # BiasAddGrad sums over the first axis twice as fast as reduce_sum does on the CPU.
            d_gamma = tf.raw_ops.BiasAddGrad(out_backprop=dy * unit)
            return dx, d_gamma, tf.raw_ops.BiasAddGrad(out_backprop=dy)

        return unit * gamma + beta, gradient

    matrix, vector = tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.float32)
    return tf.function(normalize, input_signature=[matrix, vector, vector], autograph=False)
