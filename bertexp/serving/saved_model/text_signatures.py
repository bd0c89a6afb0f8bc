"""The graphs around models that give one answer a text or pair; what is answered, each task decides from the logits.

serving_default  text (and text_pair) <string> of any shape, flattened to N rows -> what the task decides
ids              input_word_ids, input_mask, input_type_ids <int32>[N, seq] -> logits <float32>[N, units]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf
import tf_keras

from bertexp.interfaces import FEATURES
from bertexp.serving.saved_model.packing import GraphTokenizer, ids_spec, pack_parts, pack_tokens, strings_spec

if TYPE_CHECKING:
    from bertexp.serving.spec import ServingSpec, Signatures

Outputs = dict[str, tf.Tensor]


def serve_texts(
    model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec, decide: Callable[[tf.Tensor], Outputs]
) -> Signatures:
    """The graphs that are described above; ``decide`` makes the outputs of logits <float32>[N, units]."""

    def answer(*texts: tf.Tensor) -> Outputs:
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
        return decide(tf.cast(model(features, training=False), tf.float32))

    @tf.function(input_signature=[strings_spec("text")])
    def serve_text(text: tf.Tensor) -> Outputs:
        return answer(text)

    @tf.function(input_signature=[strings_spec("text"), strings_spec("text_pair")])
    def serve_pair(text: tf.Tensor, text_pair: tf.Tensor) -> Outputs:
        return answer(text, text_pair)

    return {"serving_default": serve_pair if spec.has_pair else serve_text, "ids": serve_ids(model)}


def serve_ids(model: tf_keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """The graph that takes word pieces' ids and gives logits."""

    @tf.function(input_signature=[ids_spec(name) for name in FEATURES])
    def serve(input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor) -> Outputs:
        features = dict(zip(FEATURES, (input_word_ids, input_mask, input_type_ids), strict=True))
        return {"logits": tf.cast(model(features, training=False), tf.float32)}

    return serve
