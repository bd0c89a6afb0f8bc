"""From a split's table to the examples that its task learns from."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.examples import Examples
from bertexp.data.examples.long_texts import LongTextExamples
from bertexp.data.examples.texts import TextExamples, label_array
from bertexp.data.table import TextDataset
from bertexp.data.tokens.packing import AlignedTokens, Shape, TokenColumn
from bertexp.data.tokens.tokenizer import Tokenizer, as_tokens, encode_aligned_cached, encode_cached


class ExampleBuilder:
    """Makes the examples of a data set and tokenizes what they need, through the cache if there is one.

    Arguments as of ``DataModule``.
    """

    def __init__(
        self,
        dataset: TextDataset,
        tokenizer: Tokenizer,
        config: DatasetConfig,
        cache_dir: str | None = None,
        progress: Callable[[int], None] | None = None,
    ):
        self.dataset, self.tokenizer, self.config = dataset, tokenizer, config
        self._cache_dir, self._progress = cache_dir, progress

    def build(self, split: str) -> Examples:
        """The examples of ``split``."""
        return self.dataset.spec.build_examples(self, split)

    def build_texts(self, split: str) -> Examples:
        """The examples of ``split`` for a task with one answer a text or pair."""
        dataset, tokenizer, config = self.dataset, self.tokenizer, self.config
        columns = [self.encode(split, field) for field in ("text", "text_pair")[: 1 + dataset.has_pair]]
        labels = label_array(dataset.splits[split]["label"], len(dataset.label_names))
        if config.long_text == "windows":
            return LongTextExamples(columns[0], labels, tokenizer, config.max_length, config.overlap)
        return TextExamples(columns, labels, tokenizer, Shape(config.max_length, config.long_text))

    def encode(self, split: str, field: str) -> TokenColumn:
        """The word pieces of a column of texts, or of lists of words."""
        texts = self.dataset.splits[split][field]
        if pa.types.is_large_list(texts.type):  # of word pieces' ids
            return as_tokens(texts)
        if pa.types.is_list(texts.type):  # of words
            texts = pa.chunked_array([texts.combine_chunks().flatten()])
        if self._cache_dir is None:
            return self.tokenizer.encode(texts, self._progress)
        part = f"{split}/{field}"
        return encode_cached(texts, self.tokenizer, self._cache_dir, self.dataset.fingerprint, part, self._progress)

    def encode_aligned(self, split: str, texts: pa.StringArray) -> AlignedTokens:
        """The word pieces of the contexts of ``split``, with where in them each stands."""
        if self._cache_dir is None:
            return self.tokenizer.encode_aligned(texts, self._progress)
        part = f"{split}/contexts"
        return encode_aligned_cached(
            texts, self.tokenizer, self._cache_dir, self.dataset.fingerprint, part, self._progress
        )
