"""What an exported model serves, by task."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text
import tf_keras

from bertexp.serving import text_signatures as labels
from bertexp.serving.packing import GraphTokenizer
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.question_answering import signature as question_answering
from bertexp.tasks.tagging import signature as tagging


def make_signatures(
    model: tf_keras.Model, vocab: Sequence[str], lowercase: bool, spec: ServingSpec
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """The graphs around ``model`` that take texts, with the tokenizer inside, and those that take ids."""
    fast_bert = tensorflow_text.FastBertTokenizer(
        list(vocab), token_out_type=tf.int32, lower_case_nfd_strip_accents=lowercase
    )
    places = [list(vocab).index(token) for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]")]
    family = {"question_answering": question_answering, "tagging": tagging}.get(spec.task, labels)
    return family.make_signatures(model, GraphTokenizer(fast_bert, *places), spec)
