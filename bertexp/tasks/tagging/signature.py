"""What a tagger answers: a tag for each word of a text, or of words that are given.

Signatures:
    serving_default  text <string> of any shape, flattened to N rows
    words            words <string>[N, W], rows padded with ""
Both give words <string>[N, W], tags <string>[N, W] and probabilities <float32>[N, W, tags], padded with "" and 0.

A text is split at white space; closing punctuation at the end of a word and opening punctuation at its start become
words of their own, as in CoNLL files. A word beyond the model's longest row is not read: its tag is O, its
probabilities are 0.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from bertexp.data.formats.tags import OUTSIDE
from bertexp.serving.saved_model.graph import GraphTokenizer, Outputs, Signatures, pack_tokens, strings_spec
from bertexp.serving.spec import ServingSpec

_OPENING, _CLOSING = r"""(^|\s)([("'\[{«“‘„¿¡]+)""", r"""([.,;:!?)"'\]}»”’…]+)(\s|$)"""


def split_words(text: tf.Tensor) -> tf.RaggedTensor:
    """<string>[N] -> words <string>[N, (words)]."""
    text = tf.strings.regex_replace(text, _OPENING, r"\1\2 ")
    return tf.strings.split(tf.strings.regex_replace(text, _CLOSING, r" \1\2"))


def make_signatures(model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
    """The functions that the module's text describes."""
    names = tf.constant([*spec.task.label_names, OUTSIDE])  # the last for words that are not read

    def answer(words: tf.Tensor) -> Outputs:
        there = words != ""
        pieces = tokenizer.fast_bert.tokenize(tf.reshape(words, [-1]))
        lost = tf.cast(tf.reshape(there, [-1]) & (pieces.row_lengths() == 0), tf.int64)  # of such no piece is left
        unknown = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(lost)], tokenizer.unk_id), lost)
        pieces = tf.concat([pieces, unknown], axis=1)
        counts = tf.reshape(pieces.row_lengths(), tf.shape(words))
        sentences = tf.RaggedTensor.from_row_lengths(pieces.flat_values, tf.reduce_sum(counts, axis=1))
        features = pack_tokens([sentences], spec.max_length, tokenizer)
        logits = tf.cast(model(features, training=False), tf.float32)
        positions = 1 + tf.cumsum(counts, axis=1, exclusive=True)  # of each word's first piece, after [CLS]
        read = there & (positions <= spec.max_length - 2)
        chosen = tf.gather(logits, tf.where(read, positions, 0), batch_dims=1)
        probabilities = tf.nn.softmax(chosen) * tf.cast(read, tf.float32)[..., tf.newaxis]
        winners = tf.where(read, tf.argmax(chosen, axis=-1, output_type=tf.int32), spec.task.units)
        return {
            "words": tf.identity(words),
            "tags": tf.where(there, tf.gather(names, winners), ""),
            "probabilities": probabilities,
        }

    @tf.function(input_signature=[strings_spec("text")])
    def serve_text(text: tf.Tensor) -> Outputs:
        return answer(split_words(tf.reshape(text, [-1])).to_tensor(""))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string, name="words")])
    def serve_words(words: tf.Tensor) -> Outputs:
        return answer(words)

    return {"serving_default": serve_text, "words": serve_words}
