"""A batch in lanes: parts of its rows that go through the layers side by side, each on a thread of its own.

TensorFlow divides a large operation among its threads and wakes them for each one. For the short ones of a small model that
takes longer than the operation. Lanes need no such meetings: one thread runs all operations of one lane.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from bertexp.models.bert.ops import draw_mask, fold, threshold


class Masks:
    """The dropout masks of a step, drawn for the whole batch: they do not depend on the number of lanes.

    Args:
      seed: <int32>[2], (run seed, step).
      rows: <int32>[lanes], each lane's rows of the batch.
    """

    def __init__(self, seed: tf.Tensor, rows: tf.Tensor):
        self._seed, self._rows, self._batch = seed, rows, tf.reduce_sum(rows)
        self._drawn: dict[int, list[tf.Tensor]] = {}

    def take(self, site: int, lane: int, width: tf.Tensor | int, rate: float) -> tf.Tensor:
        """<bool>[rows of the lane, width]: the lane's part of what is drawn at a site."""
        if site not in self._drawn:
            mask = _drawer(rate)(tf.stack([self._batch, width]), fold(self._seed, site))
            lanes = self._rows.shape[0]
            self._drawn[site] = tf.split(mask, self._rows) if lanes > 1 else [mask]
        return self._drawn[site][lane]


@functools.lru_cache(maxsize=32)  # a sweep may go through many rates
def _drawer(rate: float) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """`draw_mask` as a graph of its own, which is traced once for all sites."""
    pair = tf.TensorSpec([2], tf.int32)
    draw = tf.function(lambda shape, seed: draw_mask(shape, rate, seed), input_signature=[pair, pair], autograph=False)
    return draw.get_concrete_function()


class Lane(NamedTuple):
    """Rows of a batch, and the dropout masks for them; ``masks`` is None where nothing is dropped."""

    inputs: Mapping[str, tf.Tensor]
    number: int = 0
    masks: Masks | None = None

    @property
    def shape(self) -> tf.Tensor:
        """<int32>[2]: rows and positions."""
        return tf.shape(self.inputs["input_mask"])

    def draw(self, site: int, width: tf.Tensor | int, rate: float) -> tf.Tensor | None:
        """The dropout mask <bool>[rows, width] of a site; None where nothing is dropped."""
        return self.masks.take(site, self.number, width, rate) if self.masks is not None and threshold(rate) else None


def split_batch(inputs: Mapping[str, tf.Tensor], lanes: int, seed: tf.Tensor | None = None) -> list[Lane]:
    """The rows of ``inputs`` [batch, …] in ``lanes`` parts of like size; with a seed <int32>[2] there are dropout masks."""
    batch = tf.shape(inputs["input_mask"])[0]
    bounds = [batch * lane // lanes for lane in range(lanes + 1)]
    rows = tf.stack([end - begin for begin, end in itertools.pairwise(bounds)])
    masks = None if seed is None else Masks(seed, rows)
    if lanes == 1:
        return [Lane(inputs, 0, masks)]
    parts = {name: tf.split(values, rows, num=lanes) for name, values in inputs.items()}
    return [Lane({name: part[lane] for name, part in parts.items()}, lane, masks) for lane in range(lanes)]
