"""What an exported model serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_text
import tf_keras

from bertexp.interfaces import SPECIAL_TOKENS
from bertexp.serving.saved_model.packing import GraphTokenizer

if TYPE_CHECKING:
    from bertexp.serving.spec import ServingSpec, Signatures


def make_signatures(model: tf_keras.Model, vocab: Sequence[str], lowercase: bool, spec: ServingSpec) -> Signatures:
    """The graphs around ``model`` that take texts, with the tokenizer inside, and those that take ids."""
    fast_bert = tensorflow_text.FastBertTokenizer(
        list(vocab), token_out_type=tf.int32, lower_case_nfd_strip_accents=lowercase
    )
    special = [list(vocab).index(token) for token in SPECIAL_TOKENS]
    return spec.task.spec.make_signatures(model, GraphTokenizer(fast_bert, *special), spec)
