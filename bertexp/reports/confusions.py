"""How often each class was taken for each other one, and what follows from it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

DENSE_CLASSES = 100  # up to so many, every pair of classes is a cell; above, only those that occurred


class Marginals(NamedTuple):
    """Rows by class, <float64>[classes] each; accuracy, F1 and Matthews correlation need no more."""

    hits: np.ndarray  # true and predicted
    true: np.ndarray
    predicted: np.ndarray


class Confusions:
    """Counts of pairs of a true and a predicted class; a pair that never occurred takes no memory.

    Args:
        classes: how many there are; pairs are of 0 .. classes - 1.
    """

    def __init__(self, classes: int):
        self.classes = classes
        self._pairs: Counter[int] = Counter()

    def add(self, true: np.ndarray, predicted: np.ndarray) -> None:
        """Counts rows, <int>[n] each; those whose true class is negative (unknown) are left out."""
        true, predicted = np.asarray(true, np.int64), np.asarray(predicted, np.int64)
        known = true >= 0
        self._pairs.update((true[known] * self.classes + predicted[known]).tolist())

    def cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """True class, predicted class and count of each cell, <int64>[cells] each, ordered by the classes."""
        codes = np.arange(self.classes**2) if self.classes <= DENSE_CLASSES else np.array(sorted(self._pairs), np.int64)
        counts = np.fromiter((self._pairs[code] for code in codes.tolist()), np.int64, len(codes))
        return *np.divmod(codes, self.classes), counts

    def matrix(self, classes: np.ndarray | None = None) -> np.ndarray:
        """<int64>[k, k]: rows are true classes, columns predictions, of the k ``classes`` <int>[k] (all by default)."""
        from scipy.sparse import csr_array

        true, predicted, counts = self.cells()
        matrix = csr_array((counts, (true, predicted)), (self.classes, self.classes))
        return (matrix if classes is None else matrix[classes][:, classes]).toarray()

    def marginals(self) -> Marginals:
        """Of the rows counted so far, <float64>[classes]."""
        true, predicted, counts = self.cells()
        right = true == predicted
        sums = ((true[right], counts[right]), (true, counts), (predicted, counts))
        return Marginals(*(np.bincount(of_class, weights, self.classes) for of_class, weights in sums))


def count_confusions(true: np.ndarray, predicted: np.ndarray, classes: int) -> Confusions:
    """The confusions of rows, <int>[n] each."""
    confusions = Confusions(classes)
    confusions.add(true, predicted)
    return confusions


def accuracy_of(counts: Marginals) -> np.ndarray:
    """Share of rows whose class was predicted, a float."""
    return counts.hits.sum(-1) / np.maximum(counts.true.sum(-1), 1)


def precision_of(counts: Marginals) -> np.ndarray:
    """Precision of the second class if there are two, else the mean over classes, a float; 0 where undefined."""
    return _of_interest(counts.hits / np.maximum(counts.predicted, 1))


def recall_of(counts: Marginals) -> np.ndarray:
    """Recall, as ``precision_of``."""
    return _of_interest(counts.hits / np.maximum(counts.true, 1))


def f1_of(counts: Marginals) -> np.ndarray:
    """F1, as ``precision_of``."""
    return _of_interest(2 * counts.hits / np.maximum(counts.predicted + counts.true, 1))


def matthews_of(counts: Marginals) -> np.ndarray:
    """Matthews correlation for any number of classes, a float; 0 where undefined (Gorodkin 2004, eq. 8)."""
    total, correct = counts.true.sum(-1), counts.hits.sum(-1)
    covariance = total * correct - (counts.true * counts.predicted).sum(-1)
    spread = np.sqrt((total**2 - (counts.true**2).sum(-1)) * (total**2 - (counts.predicted**2).sum(-1)))
    return np.divide(covariance, spread, out=np.zeros(np.shape(spread)), where=spread > 0)


def _of_interest(scores: np.ndarray) -> np.ndarray:
    return scores[..., 1] if scores.shape[-1] == 2 else scores.mean(-1)
