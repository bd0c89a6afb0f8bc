"""From a split's table to the examples that its task learns from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.config.schema import DatasetConfig
from bertexp.data.examples import Examples
from bertexp.data.examples.long_texts import LongTextExamples
from bertexp.data.examples.texts import TextExamples, label_array
from bertexp.data.table import TextDataset
from bertexp.data.tokens.packing import AlignedTokens, Shape, TokenColumn
from bertexp.data.tokens.tokenizer import Tokenizer, as_tokens, encode_aligned_cached, encode_cached
from bertexp.tasks.question_answering.examples import QuestionExamples
from bertexp.tasks.tagging.examples import TaggedExamples
from bertexp.tasks.tagging.words import join_words, tag_array


class ExampleBuilder:
    """Tokenizes what the examples need, through the cache where there is one; arguments as of ``DataModule``."""

    def __init__(
        self,
        dataset: TextDataset,
        tokenizer: Tokenizer,
        config: DatasetConfig,
        cache_dir: str | None = None,
        progress: Callable[[int], None] | None = None,
    ):
        self._dataset, self._tokenizer, self._config = dataset, tokenizer, config
        self._cache_dir, self._progress = cache_dir, progress

    def build(self, split: str) -> Examples:
        """The examples of ``split``."""
        dataset, tokenizer, config = self._dataset, self._tokenizer, self._config
        table = dataset.splits[split]
        if dataset.task == "question_answering":
            return self._build_questions(split, table)
        if dataset.task == "tagging":
            lengths = pc.list_value_length(table["words"]).to_numpy()
            words = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
            sentences = join_words(self._encode(split, "words"), words, tokenizer.unk_id)
            return TaggedExamples(sentences, tag_array(table["label"], words), tokenizer, config.max_length)
        columns = [self._encode(split, field) for field in ("text", "text_pair")[: 1 + dataset.has_pair]]
        labels = label_array(table["label"], len(dataset.label_names))
        if config.long_text == "windows":
            return LongTextExamples(columns[0], labels, tokenizer, config.max_length, config.overlap)
        return TextExamples(columns, labels, tokenizer, Shape(config.max_length, config.long_text))

    def _build_questions(self, split: str, table: pa.Table) -> Examples:
        """Every context is encoded once, however many questions ask about it."""
        contexts = table["text_pair"].combine_chunks().dictionary_encode()
        questions, aligned_contexts = self._encode(split, "text"), self._encode_aligned(split, contexts.dictionary)
        config = self._config
        return QuestionExamples(
            table, questions, aligned_contexts, contexts, self._tokenizer, config.max_length, config.overlap
        )

    def _encode(self, split: str, field: str) -> TokenColumn:
        texts = self._dataset.splits[split][field]
        if pa.types.is_large_list(texts.type):  # of word pieces' ids
            return as_tokens(texts)
        if pa.types.is_list(texts.type):  # of words
            texts = pa.chunked_array([texts.combine_chunks().flatten()])
        if self._cache_dir is None:
            return self._tokenizer.encode(texts, self._progress)
        part = f"{split}/{field}"
        return encode_cached(texts, self._tokenizer, self._cache_dir, self._dataset.fingerprint, part, self._progress)

    def _encode_aligned(self, split: str, texts: pa.StringArray) -> AlignedTokens:
        if self._cache_dir is None:
            return self._tokenizer.encode_aligned(texts, self._progress)
        part = f"{split}/contexts"
        return encode_aligned_cached(
            texts, self._tokenizer, self._cache_dir, self._dataset.fingerprint, part, self._progress
        )
