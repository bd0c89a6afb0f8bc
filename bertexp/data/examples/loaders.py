"""Batch order as a pure function of (seed, epoch), and tf.data loaders over it.

Padding is most of the work that fine-tuning wastes: MRPC pairs average 53 pieces and SST-2 sentences 23, so padding to
128 wastes 60-80% of the arithmetic. Rows of like length are therefore put into one batch, and each batch is padded to
its own longest row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from bertexp.data.examples import Examples, Features

WINDOW_BATCHES = 64  # rows are sorted by length inside windows of so many batches, so neighbours still change by epoch


def make_train_order(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, group_by_length: bool = True
) -> list[np.ndarray]:
    """Returns the rows of each batch of one epoch; every row occurs exactly once.

    Args:
        lengths: <int32>[rows], word pieces per row.
        batch_size: rows per batch; the last batch may be smaller.
        seed: the run's seed.
        epoch: counted from 0.
        group_by_length: sort by length inside shuffled windows, then shuffle the batches; otherwise shuffle uniformly.

    Returns:
        One <int64>[<= batch_size] array of row numbers per batch.
    """
    generator = np.random.default_rng([seed, epoch])
    rows = generator.permutation(len(lengths))
    if group_by_length:
        window = WINDOW_BATCHES * batch_size
        windows = [rows[start : start + window] for start in range(0, len(rows), window)]
        rows = np.concatenate([w[np.argsort(lengths[w], kind="stable")] for w in windows]) if windows else rows
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    if group_by_length:
        batches = [batches[i] for i in generator.permutation(len(batches))]
    return batches


def make_eval_order(lengths: np.ndarray, batch_size: int, max_length: int) -> list[np.ndarray]:
    """Returns the examples of each batch, longest first, so that the largest memory need shows at once.

    Args:
        lengths: <int32>[examples], word pieces of each; more than ``max_length`` where one is read in several windows.
        batch_size: examples in a batch, at most; fewer where they have more than ``batch_size * max_length`` pieces.
        max_length: pieces that enter the encoder in one piece.
    """
    return cut(np.argsort(-lengths, kind="stable"), lengths, batch_size, batch_size * max_length)


def cut(indices: np.ndarray, lengths: np.ndarray, most: int, most_pieces: int) -> list[np.ndarray]:
    """``indices`` <int64>[n] in parts of consecutive ones: as few as go with so many examples and pieces in each.

    An example that has more pieces than that is a part of its own.
    """
    pieces = np.concatenate([[0], np.cumsum(lengths[indices], dtype=np.int64)])
    parts, begin = [], 0
    while begin < len(indices):
        bounded = int(np.searchsorted(pieces, pieces[begin] + most_pieces, side="right")) - 1
        end = max(begin + 1, min(begin + most, bounded))
        parts.append(indices[begin:end])
        begin = end
    return parts


def stream(generate: Callable[[], Iterator[tuple]], signature: tuple) -> tf.data.Dataset:
    """What ``generate`` yields, one element ahead of the step that uses them.

    tf.data's autotuner is off: its period doubles up to a minute, and an iterator's teardown may wait for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2).with_options(options)


class TrainLoader:
    """Training batches; ``epoch(e, start)`` gives the batches of epoch ``e`` from number ``start`` on.

    A batch of more than ``batch_size * max_length`` pieces, as long texts in windows make them, comes in parts that have no
    more, or hold one text: so memory has a bound, and a batch is ``batch_size`` examples all the same.

    Args:
        examples: what they are drawn from.
        batch_size: examples in a batch.
        max_length: pieces that enter the encoder in one piece.
        seed: of the order.
        group_by_length: whether a batch holds examples of like length.
        vocabulary: gives the token ids <int>[n] that can occur, ascending; None: unknown.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        max_length: int,
        seed: int,
        group_by_length: bool = True,
        vocabulary: Callable[[], np.ndarray | None] = lambda: None,
    ):
        self._examples, self._lengths, self._batch_size = examples, examples.lengths, batch_size
        self._most_pieces = batch_size * max_length
        self._seed, self._group_by_length, self.vocabulary = seed, group_by_length, vocabulary
        self.spec, self.label_spec = examples.spec, examples.label_spec

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self._lengths) // self._batch_size)

    def order(self, epoch: int) -> list[np.ndarray]:
        """Examples of each batch of ``epoch``."""
        return make_train_order(self._lengths, self._batch_size, self._seed, epoch, self._group_by_length)

    def epoch(self, epoch: int, start: int = 0, stop: int | None = None) -> tf.data.Dataset:
        """Batches ``start`` to ``stop`` of ``epoch`` as (features, labels, whether a batch is complete with them <bool>[])."""
        batches = self.order(epoch)[start:stop]

        def generate() -> Iterator[tuple[Features, np.ndarray, bool]]:
            for batch in batches:
                *first, last = cut(batch, self._lengths, len(batch), self._most_pieces)
                for part in first:
                    yield *self._examples.pack(part), False
                yield *self._examples.pack(last), True

        return stream(generate, (self.spec, self.label_spec, tf.TensorSpec([], tf.bool)))


class EvalLoader:
    """Every example once, sorted by length; ``indices`` tells which example each result is of.

    ``batch_size`` and ``max_length`` are those of ``make_eval_order``; ``labelled``: whether the examples have labels.
    """

    def __init__(self, examples: Examples, batch_size: int, max_length: int, labelled: bool = True):
        self._examples, self.spec, self.labelled = examples, examples.spec, labelled
        self._batches = make_eval_order(examples.lengths, batch_size, max_length)

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self) -> tf.data.Dataset:
        """All batches as (features, labels)."""
        return stream(lambda: map(self._examples.pack, self._batches), (self.spec, self._examples.label_spec))

    def indices(self) -> np.ndarray:
        """<int64>[n]: the example of each result that ``batches`` leads to."""
        return np.concatenate(self._batches) if self._batches else np.zeros(0, np.int64)

    def truth(self, indices: np.ndarray) -> np.ndarray:
        """[n, …]: what the results of ``indices`` are judged by."""
        return self._examples.truth(indices)

    def source_rows(self, indices: np.ndarray) -> np.ndarray:
        """<int64>[n]: the split's rows that ``indices`` come from."""
        return self._examples.source_rows[indices]
