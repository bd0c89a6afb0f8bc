"""Sentences with a tag for each word."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from bertexp.data.examples import TOKEN_SPEC, Features
from bertexp.data.examples.module import DataModule
from bertexp.data.tokens.packing import Shape, pack_batch, packed_lengths
from bertexp.tasks.tagging.words import UNLABELLED, join_words, place_tags


class TaggedExamples:
    """One example a row: a sentence, with a tag for each word at the word's first piece.

    Args:
        source: of the split's table.
        split: its name.
    """

    spec = TOKEN_SPEC
    label_spec = tf.TensorSpec([None, None], tf.int32)

    def __init__(self, source: DataModule, split: str):
        table = source.dataset.splits[split]
        self._tokenizer, self._max_length = source.tokenizer, source.config.max_length
        lengths = pc.list_value_length(table["words"]).to_numpy()
        words = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self._sentences = join_words(source.encode(split, "words"), words, self._tokenizer.unk_id)
        tags = table["label"].combine_chunks().flatten().to_numpy().astype(np.int32)
        self._tags = np.full(words[-1], UNLABELLED, np.int32) if table["label"].null_count else tags
        self.columns = [self._sentences.column]
        self.lengths, self.full_lengths = packed_lengths(self.columns, self._max_length), packed_lengths(self.columns)
        self.source_rows = np.arange(table.num_rows)

    def pack(self, indices: np.ndarray) -> tuple[Features, np.ndarray]:
        features = pack_batch(self.columns, indices, Shape(self._max_length), self._tokenizer.special_ids)
        return features, self.labels(indices, features["input_word_ids"].shape[1])

    def labels(self, indices: np.ndarray, width: int) -> np.ndarray:
        return place_tags(self._sentences, self._tags, indices, self._max_length, width)

    def truth(self, indices: np.ndarray) -> np.ndarray:
        """Tags at the positions of their words <int32>[batch, …]; the words that were cut follow, see ``place_tags``."""
        return place_tags(self._sentences, self._tags, indices, self._max_length)
