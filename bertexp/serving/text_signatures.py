"""Signatures of models that give one answer a text: a class, a set of classes, a number.

serving_default  text (and text_pair) <string> of any shape, flattened to N rows ->
                 classification  label <string>[N], probabilities <float32>[N, classes]
                 multi_label     labels <string>[N] (", " between several), probabilities <float32>[N, classes]
                 regression      score <float32>[N]
ids              input_word_ids, input_mask, input_type_ids <int32>[N, seq] -> logits <float32>[N, units]
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from bertexp.serving.packing import IDS, GraphTokenizer, ids_spec, pack_parts, pack_tokens, strings_spec
from bertexp.serving.spec import ServingSpec

Answer = dict[str, tf.Tensor]


def make_signatures(
    model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """The graphs that an export of ``spec.task`` serves."""

    def answer(*texts: tf.Tensor) -> Answer:
        flat = [tf.reshape(text, [-1]) for text in texts]
        if len(flat) == 2:
            message = "text and text_pair must hold the same number of texts"
            with tf.control_dependencies([tf.debugging.assert_equal(tf.size(flat[0]), tf.size(flat[1]), message)]):
                flat = [tf.identity(text) for text in flat]
        tokens = [tokenizer.fast_bert.tokenize(text) for text in flat]
        if spec.long_text == "windows":
            features = pack_parts(tokens[0], spec.max_length, spec.window_overlap, tokenizer)
        else:
            features = pack_tokens(tokens, spec.max_length, tokenizer, spec.long_text)
        return _decide(tf.cast(model(features, training=False), tf.float32), spec)

    @tf.function(input_signature=[strings_spec("text")])
    def serve_text(text: tf.Tensor) -> Answer:
        return answer(text)

    @tf.function(input_signature=[strings_spec("text"), strings_spec("text_pair")])
    def serve_pair(text: tf.Tensor, text_pair: tf.Tensor) -> Answer:
        return answer(text, text_pair)

    @tf.function(input_signature=[ids_spec(name) for name in IDS])
    def serve_ids(input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor) -> Answer:
        features = dict(zip(IDS, (input_word_ids, input_mask, input_type_ids), strict=True))
        return {"logits": tf.cast(model(features, training=False), tf.float32)}

    return {"serving_default": serve_pair if spec.has_pair else serve_text, "ids": serve_ids}


def _decide(logits: tf.Tensor, spec: ServingSpec) -> Answer:
    """From logits <float32>[N, units] to what is served."""
    if spec.task == "regression":
        return {"score": logits[:, 0]}
    names = tf.constant(spec.label_names)
    if spec.task == "multi_label":
        probabilities = tf.sigmoid(logits)
        given = probabilities >= spec.threshold
        rows = tf.ragged.boolean_mask(tf.broadcast_to(names, tf.shape(logits)), given)
        return {"labels": tf.strings.reduce_join(rows, axis=1, separator=", "), "probabilities": probabilities}
    if spec.one_logit:
        positive = tf.sigmoid(logits[:, :1])
        probabilities = tf.concat([1.0 - positive, positive], axis=1)
        winner = tf.cast(logits[:, 0] > 0, tf.int32)
    else:
        probabilities = tf.nn.softmax(logits)
        winner = tf.argmax(logits, axis=1, output_type=tf.int32)
    return {"label": tf.gather(names, winner), "probabilities": probabilities}
