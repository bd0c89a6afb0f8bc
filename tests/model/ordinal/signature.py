"""What the exported model answers: label <string>[N], rank <float32>[N] (expected index), probabilities <float32>[N, classes]."""

from __future__ import annotations

import tensorflow as tf

from bertexp.serving.saved_model.text_signatures import serve_texts


def make_signatures(model, tokenizer, spec):
    task = spec.task

    def decide(logits: tf.Tensor) -> dict[str, tf.Tensor]:
        reached = tf.sigmoid(logits)
        bounds = tf.pad(tf.math.cumprod(reached, axis=1), [[0, 0], [1, 0]], constant_values=1.0)
        probabilities = bounds - tf.pad(bounds[:, 1:], [[0, 0], [0, 1]])
        index = tf.reduce_sum(tf.math.cumprod(tf.cast(reached >= task.passed, tf.int32), axis=1), axis=1)
        return {
            "label": tf.gather(tf.constant(task.label_names), index),
            "rank": tf.reduce_sum(bounds[:, 1:], axis=1),
            "probabilities": probabilities,
        }

    return serve_texts(model, tokenizer, spec, decide)
