"""What a classifier answers: a class for each text or pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf
import tf_keras

from bertexp.serving.saved_model.packing import GraphTokenizer
from bertexp.serving.saved_model.text_signatures import Outputs, serve_texts

if TYPE_CHECKING:
    from bertexp.serving.spec import ServingSpec, Signatures


def make_signatures(model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
    """``serving_default`` gives label <string>[N] and probabilities <float32>[N, classes]."""
    task = spec.task

    def decide(logits: tf.Tensor) -> Outputs:
        if task.one_logit:
            positive = tf.sigmoid(logits[:, :1])
            probabilities = tf.concat([1.0 - positive, positive], axis=1)
            winner = tf.cast(logits[:, 0] > 0, tf.int32)
        else:
            probabilities = tf.nn.softmax(logits)
            winner = tf.argmax(logits, axis=1, output_type=tf.int32)
        return {"label": tf.gather(tf.constant(task.label_names), winner), "probabilities": probabilities}

    return serve_texts(model, tokenizer, spec, decide)
