"""From a canonical table to token batches: what the trainer draws from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.examples import ChosenExamples, Examples, FrozenExamples
from bertexp.data.examples.activations import Activations
from bertexp.data.examples.loaders import EvalLoader, TrainLoader
from bertexp.data.examples.texts import LongTextExamples, TextExamples
from bertexp.data.splits import draw, draw_groups, strata
from bertexp.data.summary import Sample
from bertexp.data.table import TextDataset, is_labelled
from bertexp.data.tokens.cache import TokenCache
from bertexp.data.tokens.packing import AlignedTokens, TokenColumn
from bertexp.data.tokens.tokenizer import Tokenizer, as_tokens


class DataModule:
    """Tokenizes every split once (through the cache) and makes loaders over them.

    Args:
        dataset: the canonical tables.
        tokenizer: the encoder's own.
        config: maximum length, grouping.
        batch_size: rows per training batch.
        eval_batch_size: rows per evaluation batch.
        seed: of the batch order.
        cache_dir: where token ids are kept between runs; ``None`` keeps them in memory only.
        progress: called with the number of texts that were just tokenized or found in the cache.
    """

    def __init__(
        self,
        dataset: TextDataset,
        tokenizer: Tokenizer,
        config: DatasetConfig,
        batch_size: int = 32,
        eval_batch_size: int = 64,
        seed: int = 42,
        cache_dir: str | None = None,
        progress: Callable[[int], None] | None = None,
    ):
        self.dataset, self.tokenizer, self.config = dataset, tokenizer, config
        self._batch_size, self._eval_batch_size, self._seed = batch_size, eval_batch_size, seed
        self._cache_dir, self._progress = cache_dir, progress
        self._examples: dict[str, Examples] = {
            split: dataset.spec.build_examples(self, split) for split in dataset.splits
        }

    def examples(self, split: str) -> Examples:
        """What the batches of ``split`` are packed from."""
        return self._examples[split]

    def read_anew(self, split: str, count: int) -> tuple[pa.Table, Examples]:
        """The first ``count`` rows as people read them, and what the tokenizer makes of exactly these texts."""
        table = self.dataset.take(split, np.arange(min(count, self.dataset.splits[split].num_rows)))
        alone = replace(self.dataset, splits={split: table})
        return table, DataModule(alone, self.tokenizer, self.config).examples(split)

    def with_activations(self, activations: Mapping[str, Activations]) -> DataModule:
        """The same batches in the same order, but of the named splits with what frozen layers made of the tokens."""
        other = copy.copy(self)
        frozen = {split: FrozenExamples(self._examples[split], kept) for split, kept in activations.items()}
        other._examples = self._examples | frozen
        return other

    def train_loader(self, limit_rows: int | None = None) -> TrainLoader:
        """Shuffled training batches; ``limit_rows`` draws that many rows (for overfitting on purpose)."""
        return TrainLoader(
            self._drawn("train", limit_rows),
            self._batch_size,
            self.config.max_length,
            self._seed,
            self.config.group_by_length,
            self._vocabulary,
        )

    def eval_loader(self, split: str, limit_rows: int | None = None, limit_batches: int | None = None) -> EvalLoader:
        """Every example of ``split`` once, sorted by length; none where the data set has no such split.

        ``limit_rows`` draws that many rows, ``limit_batches`` at most as many as fill so many batches.
        """
        if split not in self.dataset.splits:
            return EvalLoader(ChosenExamples(self._examples["train"], np.zeros(0, np.int64)), 1, 1)
        labelled = is_labelled(self.dataset.splits[split])

        def load(rows: int | None) -> EvalLoader:
            return EvalLoader(self._drawn(split, rows), self._eval_batch_size, self.config.max_length, labelled)

        if limit_batches is None:
            return load(limit_rows)
        rows = limit_batches * self._eval_batch_size
        loader = load(rows := min(rows, limit_rows or rows))
        while len(loader) > limit_batches and rows > 1:  # long texts in windows fill more
            loader = load(rows := max(1, rows * limit_batches // len(loader)))
        return loader

    def samples(self, count: int = 3) -> list[Sample]:
        """``count`` training rows with their pieces and masks, as the encoder will see them; of windows, the first."""
        examples, classes = self._examples["train"], strata(self.dataset.splits["train"])
        rows = draw(classes, min(count, len(classes)), self.config.split_seed)
        table = self.dataset.take("train", rows)
        features, _ = examples.pack(np.searchsorted(examples.source_rows, rows))
        if "text_of_window" in features:
            firsts = np.unique(features["text_of_window"], return_index=True)[1]
            features = {name: values[firsts] for name, values in features.items()}
        return [
            Sample(
                text=table["text"][i].as_py(),
                text_pair=table["text_pair"][i].as_py() if self.dataset.has_pair else None,
                label=self.dataset.spell_label(table["label"][i]),
                pieces=self.tokenizer.pieces(features["input_word_ids"][i]),
                mask=features["input_mask"][i].tolist(),
                type_ids=features["input_type_ids"][i].tolist(),
            )
            for i in range(len(rows))
        ]

    def build_texts(self, split: str) -> Examples:
        """The examples of ``split`` for a task with one answer a text or pair."""
        return (LongTextExamples if self.config.long_text == "windows" else TextExamples)(self, split)

    def encode(self, split: str, field: str) -> TokenColumn:
        """The word pieces of a column of texts, or of lists of words."""
        texts = self.dataset.splits[split][field]
        if pa.types.is_large_list(texts.type):  # of word pieces' ids
            return as_tokens(texts)
        if pa.types.is_list(texts.type):  # of words
            texts = pa.chunked_array([texts.combine_chunks().flatten()])
        return self.tokenizer.encode(texts, self._progress, self._cache(f"{split}/{field}"))

    def encode_aligned(self, split: str, texts: pa.StringArray) -> AlignedTokens:
        """The word pieces of the contexts of ``split``, with where in them each stands."""
        return self.tokenizer.encode_aligned(texts, self._progress, self._cache(f"{split}/contexts"))

    def _cache(self, part: str) -> TokenCache | None:
        return TokenCache(self._cache_dir, self.dataset.fingerprint, part) if self._cache_dir is not None else None

    def _vocabulary(self) -> np.ndarray | None:
        """Ids <int64>[n] of the training texts' pieces and the special ones, ascending; None of activations."""
        if isinstance(self._examples["train"], FrozenExamples):
            return None
        counts = np.zeros(len(self.tokenizer.vocab), np.int64)
        for values, _ in self._examples["train"].columns:
            counts += np.bincount(values, minlength=len(counts))
        counts[[*self.tokenizer.special_ids]] += 1
        return np.flatnonzero(counts)

    def _drawn(self, split: str, count: int | None) -> Examples:
        """The examples of ``split``, or ``count`` of them, of every class some where possible.

        Of windows about so many, each with all others of its question.
        """
        examples, table = self._examples[split], self.dataset.splits[split]
        rows = examples.source_rows
        if count is None or count >= len(rows):
            return examples
        if len(rows) > table.num_rows:
            return ChosenExamples(examples, draw_groups(rows, count, self.config.split_seed, keep=0))
        classes = strata(table)[rows]
        return ChosenExamples(examples, draw(classes, count, self.config.split_seed))
