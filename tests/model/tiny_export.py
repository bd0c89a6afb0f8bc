"""A tiny classifier and its vocabulary, for tests of the export."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from bertexp.data.tokens.packing import Shape, pack_batch
from bertexp.data.tokens.tokenizer import Tokenizer

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "##s", ",", "!", "not"]
TEXTS = ["A good film!", "bad films", "", "not " * 40, "unheard of, good", "film " * 9]
PAIRS = ["not bad", "good " * 30, "a", "bad " * 30, "", "films, films"]


class TinyModel(tf_keras.Model):
    """Stands for a classifier: looks at every feature, drops out in training."""

    def __init__(self, units: int):
        super().__init__()
        self.words = tf_keras.layers.Embedding(len(VOCAB), 8)
        self.segments = tf_keras.layers.Embedding(2, 8)
        self.dense = tf_keras.layers.Dense(8, activation="tanh")
        self.dropout = tf_keras.layers.Dropout(0.5)
        self.head = tf_keras.layers.Dense(units, dtype="float32")

    def call(self, features, training=False):
        hidden = self.dense(self.words(features["input_word_ids"]) + self.segments(features["input_type_ids"]))
        mask = tf.cast(features["input_mask"], hidden.dtype)[..., tf.newaxis]
        pooled = tf.reduce_sum(hidden * mask, axis=1) / tf.reduce_sum(mask, axis=1)
        first = hidden[:, 0]  # BERT's pooler reads [CLS], so a batch may never be 0 wide
        return self.head(self.dropout(pooled + first, training=training))


def make_model(units: int) -> TinyModel:
    tf_keras.utils.set_random_seed(7)
    model = TinyModel(units)
    features = {name: tf.ones([1, 3], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")}
    model(features)
    for variable in model.variables:
        variable.assign(tf.random.normal(variable.shape))
    return model


def pack(columns: list[list[str]], max_length: int) -> dict[str, np.ndarray]:
    tokenizer = Tokenizer(VOCAB, True)
    tokens = [tokenizer.encode(texts) for texts in columns]
    return pack_batch(tokens, np.arange(len(columns[0])), Shape(max_length), tokenizer.special_ids)
