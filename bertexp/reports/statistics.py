"""How sure a test result is, and a few predictions to look at."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_CELLS_AT_ONCE = 1 << 21  # of resamples that are held in memory


def wilson_interval(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the interval of an accuracy, 95% by default (Wilson 1927, JASA 22, 209-212).

    Unlike the textbook's plus-minus it stays within 0 .. 1 and holds for few rows and for accuracies near 1.
    """
    if total == 0:
        return 0.0, 1.0
    share, spread = correct / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def bootstrap_interval(
    metric: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95% percentile interval of a metric (Efron and Tibshirani 1993, chapter 13).

    Drawing n rows with replacement is drawing the sizes of the groups of equal rows from a multinomial distribution, so
    many resamples are one array operation however many rows there are.

    Args:
        metric: from <int64>[n, …] to <float>[n], for any n.
        counts: <int64>[…], how many of the rows are in each group, as a confusion matrix has them for instance.
    """
    total = int(counts.sum())
    if total == 0:
        return math.nan, math.nan
    generator, found = np.random.default_rng(seed), []
    at_once = max(1, _CELLS_AT_ONCE // counts.size)
    for begin in range(0, resamples, at_once):
        cells = generator.multinomial(total, counts.ravel() / total, size=min(at_once, resamples - begin))
        found.append(metric(cells.reshape(len(cells), *counts.shape)))
    low, high = np.percentile(np.concatenate(found), (2.5, 97.5))
    return float(low), float(high)


def bootstrap_sums(
    metric: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95% percentile interval of a metric of sums over rows, the rows drawn with replacement.

    Rows that add the same are one group: drawing n rows is drawing from the groups by their sizes.

    Args:
        metric: from sums <float64>[resamples, k] to <float64>[resamples].
        rows: <int or float>[n, k], what each row adds.
    """
    if not len(rows):
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    values, sizes = np.unique(np.asarray(rows, np.float64), axis=0, return_counts=True)
    shares = sizes / len(rows)
    sums = np.stack([generator.multinomial(len(rows), shares) @ values for _ in range(resamples)])
    low, high = np.percentile(metric(sums), (2.5, 97.5))
    return float(low), float(high)


def f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """F1 <float64>[…] of hits, predicted and true ones <float>[…, 3]; 0 where there are none at all."""
    hits, predicted, true = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    return 2 * hits / np.maximum(predicted + true, 1)


def correlation_interval(value: float, rows: int, kind: str) -> tuple[float, float]:
    """Returns the 95% interval of a correlation through Fisher's z (Fisher 1921).

    The standard error is 1 / sqrt(rows - 3) for ``pearson`` and sqrt((1 + value**2 / 2) / (rows - 3)) for ``spearman``
    (Bonett and Wright 2000, Psychometrika 65, 23-28).
    """
    if rows <= 3:
        return -1.0, 1.0
    error = math.sqrt((1 + value**2 / 2 if kind == "spearman" else 1) / (rows - 3))
    middle = math.atanh(min(max(value, -1 + 1e-12), 1 - 1e-12))
    return math.tanh(middle - 1.96 * error), math.tanh(middle + 1.96 * error)


def choose_samples(missed: np.ndarray, count: int = 6, seed: int = 0) -> np.ndarray:
    """Row numbers <int64>[count] to show, up to half of them ``missed`` <bool>[n]; those come last."""
    order = np.random.default_rng(seed).permutation(len(missed))
    wrong = order[missed[order]][: count // 2]
    return np.concatenate([order[~missed[order]][: count - len(wrong)], wrong])


def quote(text: str, width: int) -> str:
    """Returns the text on one line, in quotes, cut at a word."""
    text = " ".join(text.split())
    if len(text) > width - 2:
        text = text[: width - 3].rsplit(" ", 1)[0] + "…"
    return f'"{text}"'
