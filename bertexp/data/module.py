"""From a canonical table to token batches: what the trainer draws from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from bertexp.config.schema import DatasetConfig
from bertexp.data.activations import Activations
from bertexp.data.batches import TOKEN_SPEC, EvalLoader, Features, TrainLoader
from bertexp.data.dataset import TextDataset
from bertexp.data.look import Sample
from bertexp.data.packing import TokenColumn, pack_batch, packed_lengths, untruncated_lengths
from bertexp.data.splits import draw
from bertexp.data.tokens import Tokenizer, encode_cached


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
        fields = ("text", "text_pair") if dataset.has_pair else ("text",)
        self._columns: dict[str, list[TokenColumn]] = {
            split: [
                encode_cached(table[field], tokenizer, cache_dir, dataset.fingerprint, f"{split}/{field}", progress)
                if cache_dir
                else TokenColumn(*tokenizer.encode(table[field], progress))
                for field in fields
            ]
            for split, table in dataset.splits.items()
        }
        self._activations: Mapping[str, Activations] = {}
        self._labels = {split: table["label"].to_numpy().astype(np.int32) for split, table in dataset.splits.items()}

    def lengths(self, split: str) -> np.ndarray:
        """<int32>[rows]: pieces per row after truncation, [CLS] and [SEP] included."""
        return packed_lengths(self._columns[split], self.config.max_length)

    def full_lengths(self, split: str) -> np.ndarray:
        """<int32>[rows]: pieces per row as they would be without truncation."""
        return untruncated_lengths(self._columns[split])

    def labels(self, split: str) -> np.ndarray:
        """<int32>[rows]."""
        return self._labels[split]

    def pack(self, split: str, rows: np.ndarray) -> tuple[Features, np.ndarray]:
        """Features <int32>[rows, longest of them] and labels <int32>[rows] of the named rows."""
        tokenizer = self.tokenizer
        features = pack_batch(
            self._columns[split], rows, self.config.max_length, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id
        )
        return features, self._labels[split][rows]

    def with_activations(self, activations: Mapping[str, Activations]) -> DataModule:
        """The same batches in the same order, but of the named splits with what frozen layers made of the tokens."""
        other = copy.copy(self)
        other._activations = activations
        return other

    def train_loader(self, limit_rows: int | None = None) -> TrainLoader:
        """Shuffled training batches; ``limit_rows`` draws that many rows (for overfitting on purpose)."""
        chosen = self._draw("train", limit_rows)
        return TrainLoader(
            self._packer("train", chosen),
            self.lengths("train")[chosen],
            self._batch_size,
            self._seed,
            self.config.group_by_length,
            self._spec("train"),
            self._vocabulary,
        )

    def eval_loader(self, split: str, limit_rows: int | None = None) -> EvalLoader:
        """Every row of ``split`` once, sorted by length; none where the data set has no such split."""
        if split not in self.dataset.splits:
            nothing = np.zeros(0, np.int32)
            return EvalLoader(self._packer(split, nothing), nothing, nothing, 1)
        chosen = self._draw(split, limit_rows)
        return EvalLoader(
            self._packer(split, chosen),
            self.lengths(split)[chosen],
            self.labels(split)[chosen],
            self._eval_batch_size,
            self._spec(split),
        )

    def samples(self, count: int = 3) -> list[Sample]:
        """``count`` training rows with their pieces and masks, as the encoder will see them."""
        rows = self._draw("train", count)
        table = self.dataset.splits["train"].take(rows)
        features, labels = self.pack("train", rows)
        return [
            Sample(
                text=table["text"][i].as_py(),
                text_pair=table["text_pair"][i].as_py() if self.dataset.has_pair else None,
                label=self.dataset.label_names[labels[i]],
                pieces=self.tokenizer.pieces(features["input_word_ids"][i]),
                mask=features["input_mask"][i].tolist(),
                type_ids=features["input_type_ids"][i].tolist(),
            )
            for i in range(len(labels))
        ]

    def _vocabulary(self) -> np.ndarray | None:
        """Ids <int64>[n] of the training texts' pieces and the special ones, ascending; None of activations."""
        if "train" in self._activations:
            return None
        counts = np.zeros(len(self.tokenizer.vocab), np.int64)
        for values, _ in self._columns["train"]:
            counts += np.bincount(values, minlength=len(counts))
        counts[[self.tokenizer.cls_id, self.tokenizer.sep_id, self.tokenizer.pad_id]] += 1
        return np.flatnonzero(counts)

    def _packer(self, split: str, chosen: np.ndarray) -> Callable[[np.ndarray], tuple[Features, np.ndarray]]:
        """From places in ``chosen`` to features and labels."""
        kept = self._activations.get(split)
        if kept is None:
            return lambda places: self.pack(split, chosen[places])
        return lambda places: (kept.pack(chosen[places]), self._labels[split][chosen[places]])

    def _spec(self, split: str) -> Mapping[str, tf.TensorSpec]:
        return self._activations[split].spec if split in self._activations else TOKEN_SPEC

    def _draw(self, split: str, count: int | None) -> np.ndarray:
        """Row numbers <int64>[count], every class among them where possible; all rows where ``count`` is None."""
        labels = self._labels[split]
        if count is None or count >= len(labels):
            return np.arange(len(labels))
        return draw(labels, count, self.config.split_seed)
