"""What a multi-label classifier answers: a set of classes for each text or pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf
import tf_keras

from bertexp.serving.saved_model.packing import GraphTokenizer
from bertexp.serving.saved_model.text_signatures import Outputs, serve_texts

if TYPE_CHECKING:
    from bertexp.serving.spec import ServingSpec, Signatures


def make_signatures(model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
    """``serving_default`` gives labels <string>[N] (", " between several) and probabilities <float32>[N, classes]."""
    task = spec.task

    def decide(logits: tf.Tensor) -> Outputs:
        probabilities = tf.sigmoid(logits)
        names = tf.broadcast_to(tf.constant(task.label_names), tf.shape(logits))
        given = tf.ragged.boolean_mask(names, probabilities >= task.threshold)
        return {"labels": tf.strings.reduce_join(given, axis=1, separator=", "), "probabilities": probabilities}

    return serve_texts(model, tokenizer, spec, decide)
