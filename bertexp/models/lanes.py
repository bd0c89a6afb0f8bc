"""A batch in lanes: parts of its rows that go through the layers side by side, each on a thread of its own.

TensorFlow divides a large operation among its threads and wakes them for each one. For the short ones of a small model that
takes longer than the operation. Lanes need no such meetings: one thread runs all operations of one lane.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from bertexp.models.ops import draw_mask, fold, threshold


class Masks:
    """The dropout masks of a step, drawn for the whole batch: they do not depend on the number of lanes.

    Args:
      seed: <int32>[2], (run seed, step).
      rows: <int32>[lanes], each lane's rows of the batch.
    """

    def __init__(self, seed: tf.Tensor, rows: tf.Tensor):
        self._seed, self._rows = seed, rows
        self._drawn: dict[int, list[tf.Tensor]] = {}

    def take(self, site: int, lane: int, width: tf.Tensor, rate: float, dtype: tf.DType) -> tf.Tensor:
        """<dtype>[rows of the lane, width]: the lane's part of what is drawn at a site."""
        if site not in self._drawn:
            mask = draw_mask(tf.stack([tf.reduce_sum(self._rows), width]), rate, fold(self._seed, site), dtype)
            lanes = self._rows.shape[0]
            self._drawn[site] = tf.split(mask, self._rows) if lanes > 1 else [mask]
        return self._drawn[site][lane]


class Lane(NamedTuple):
    """Rows of a batch, and the dropout masks for them; ``masks`` is None where nothing is dropped."""

    inputs: Mapping[str, tf.Tensor]
    number: int = 0
    masks: Masks | None = None

    @property
    def shape(self) -> tf.Tensor:
        """<int32>[2]: rows and positions."""
        return tf.shape(self.inputs["input_mask"])

    def dropout(self, x: tf.Tensor, rate: float, site: int, positions: tf.Tensor | int = 1) -> tf.Tensor:
        """Dropout of x <float>[rows * positions, …], as of the whole batch."""
        if self.masks is None or not threshold(rate):
            return x
        shape = tf.shape(x)
        width = tf.reduce_prod(shape[1:]) * positions
        return x * tf.reshape(self.masks.take(site, self.number, width, rate, x.dtype), shape)


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
