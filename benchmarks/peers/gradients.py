"""Gradients of the kind that a batch of 32 pairs gives: sparse for the word embeddings, dense for the rest."""

from __future__ import annotations

import tensorflow as tf


def make_gradients(variables: list) -> list:
    """One gradient per variable; that of the widest table as IndexedSlices of 32 x 53 rows."""
    gradients = []
    for variable in variables:
        shape = variable.shape.as_list()
        if len(shape) == 2 and shape[0] > 2000 and shape[0] == max(v.shape[0] for v in variables):
            rows = tf.random.stateless_uniform([32 * 53], [0, 1], maxval=shape[0], dtype=tf.int32)
            values = tf.random.stateless_normal([32 * 53, shape[1]], [0, 2]) * 1e-2
            gradients.append(tf.IndexedSlices(values, rows, tf.constant(shape)))
        else:
            gradients.append(tf.random.stateless_normal(shape, [0, len(gradients) + 3]) * 1e-2)
    return gradients
