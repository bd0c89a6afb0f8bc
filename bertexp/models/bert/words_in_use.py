"""The word embeddings that a fit can touch, as a table of their own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class VocabularyInUse:
    """Stands in for a word embedding table while a model is fitted to texts that use a part of its rows.

    A row that no training text uses gets no gradient, and Adam, whose moments of it are zero, leaves it as it is: only
    weight decay shrinks it, by the same factor as every other row. So
    the optimizer works on the rows in use, and of the others one number is kept. Of a BERT's weights the table is a
    third to a half, and a data set of some thousand short texts uses a tenth to a third of its rows.

    Attributes:
        table: <float32>[vocabulary, hidden]; right again after ``settle``.
        rows: <float32>[in use, hidden], what is trained.
        kept: <float64>[], what weight decay has left of the other rows.
    """

    def __init__(self, table: tf.Variable, ids: np.ndarray):
        self.table, self._ids = table, ids
        places = np.zeros(table.shape[0], np.int32)
        places[ids] = np.arange(len(ids))
        self._places = tf.constant(places)
        self._first = tf.Variable(table, trainable=False)
        self.rows = tf.Variable(tf.zeros([len(ids), table.shape[1]]), name=table.name.partition(":")[0])
        self.kept = tf.Variable(1.0, dtype=tf.float64, trainable=False)

    def serves(self, ids: np.ndarray) -> bool:
        """Whether it was made for the same rows."""
        return np.array_equal(self._ids, ids)

    def begin(self) -> None:
        """Takes the table's present values as the first ones of a fit."""
        self._first.assign(self.table)
        self.kept.assign(1.0)
        self.take()

    def take(self) -> None:
        """Reads the rows in use from the table."""
        self.rows.assign(tf.gather(tf.convert_to_tensor(self.table), self._ids))

    def settle(self) -> None:
        """Writes all rows back into the table."""
        others = tf.cast(tf.cast(self._first, tf.float64) * self.kept, self.table.dtype)
        self.table.assign(tf.tensor_scatter_nd_update(others, self._ids[:, None], self.rows))

    def rows_of(self, ids: tf.Tensor) -> tf.Tensor:
        """Where the pieces <int32>[...] in use stand among ``rows``: <int32>[...]."""
        return tf.gather(self._places, ids)
