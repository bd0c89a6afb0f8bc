"""95% intervals of test metrics, all by one method: a metric is a share of as many rows as it is worth.

A share of right rows has an exact interval (Clopper and Pearson 1934, Biometrika 26, 404-413). Any other metric between
two bounds is taken for a share of ``effective`` rows: of so many that a share of them would vary as the metric does over
the rows at hand, ``share (1 - share) / variance`` (Korn and Graubard 1998, Survey Methodology 24, 193-201). The variance is
that of each row's influence on the metric (the infinitesimal jackknife; Efron and Tibshirani 1993, chapter 21).

A sample without an error does not tell how much an error would weigh, so the variance is taken as if there were two more
rows that are wrong. ``benchmarks/intervals.py`` measures how often the true value is covered.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import betaincinv, ndtri

from bertexp.reports.confusions import Confusions, Marginals, accuracy_of, f1_of, matthews_of

LEVEL = 0.05  # how often an interval may miss
SMALLEST_CLASS = 5  # judged rows that each class needs for a mean over the classes to have an interval
_WRONG = 2  # further rows

Interval = tuple[float, float]


def share_interval(share: float, rows: float) -> Interval:
    """Of a share of rows; their number need not be a whole one."""
    right, wrong = share * rows, (1 - share) * rows
    low = betaincinv(right, wrong + 1, LEVEL / 2) if right > 0 else 0.0
    high = betaincinv(right + 1, wrong, 1 - LEVEL / 2) if wrong > 0 else 1.0
    return float(low), float(high)


def ratio_interval(parts: np.ndarray, wholes: np.ndarray) -> Interval | None:
    """Of ``sum(parts) / sum(wholes)``, such as micro F1: hits, and the mean of what was given and what was true.

    Args:
        parts: <int or float>[rows].
        wholes: <int or float>[rows], at least ``parts`` each.

    Returns:
        ``None`` if all wholes are 0.
    """
    parts, wholes = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    rows, total = len(wholes), wholes.sum()
    if not total:
        return None
    value = parts.sum() / total
    bias = -((parts - value * wholes) @ wholes) / total**2  # of a ratio, to second order (Cochran 1977, section 6.8)
    smoothed, total_smoothed = parts.sum() / (total * (1 + _WRONG / rows)), total * (1 + _WRONG / rows)
    influences = np.append(parts - smoothed * wholes, [-smoothed * total / rows] * _WRONG) / total_smoothed
    return _interval(value, bias, smoothed, influences @ influences, rows, 2 * total)


def accuracy_interval(confusions: Confusions) -> Interval | None:
    """Of the share of rows whose class was predicted; ``None`` without rows."""
    counts = confusions.marginals()
    rows = counts.true.sum()
    return share_interval(float(accuracy_of(counts)), rows) if rows else None


def f1_interval(confusions: Confusions) -> Interval | None:
    """Of F1 of the second class of two, or of its mean over more classes.

    Returns:
        ``None`` if one of more than two classes has fewer than ``SMALLEST_CLASS`` rows.
    """
    counts = confusions.marginals()
    classes, rows = len(counts.true), counts.true.sum()
    if not rows or (classes > 2 and counts.true.min() < SMALLEST_CLASS):
        return None
    weights = np.array([0.0, 1.0]) if classes == 2 else np.full(classes, 1 / classes)
    sizes = np.maximum(counts.true + counts.predicted, 1)
    each = 2 * counts.hits / sizes
    bias = -(weights * each * (1 - each) / sizes).sum()  # each is a ratio of its own
    more = _with_wrong_rows(counts)
    shares = (more.true + more.predicted) / more.true.sum()
    scale = np.divide(weights, shares, out=np.zeros(classes), where=shares > 0)
    each = 2 * more.hits / np.maximum(more.true + more.predicted, 1)
    variance = _variance(confusions, 2 * scale, -scale * each, -scale * each)
    return _interval(float(f1_of(counts)), bias, float(weights @ each), variance, rows)


def matthews_interval(confusions: Confusions) -> Interval | None:
    """Of Matthews' correlation; ``None`` where it is undefined: all rows are of one class, or were given one."""
    counts = confusions.marginals()
    if min(np.count_nonzero(counts.true), np.count_nonzero(counts.predicted)) < 2:
        return None
    more = _with_wrong_rows(counts)
    true, predicted = (of_class / more.true.sum() for of_class in (more.true, more.predicted))
    of_true, of_predicted = 1 - true @ true, 1 - predicted @ predicted
    spread, value = np.sqrt(of_true * of_predicted), float(matthews_of(more))
    of_class = [value * true / of_true - predicted / spread, value * predicted / of_predicted - true / spread]
    variance = _variance(confusions, np.full(len(true), 1 / spread), *of_class)
    return _scaled(float(matthews_of(counts)), value, variance, counts.true.sum())


def correlation_interval(predicted: np.ndarray, wanted: np.ndarray) -> Interval | None:
    """Of Pearson's correlation, or of Spearman's if both <float>[rows] are ranks; ``None`` where it is undefined."""
    rows = len(wanted)
    pairs = np.stack([np.asarray(predicted, np.float64), np.asarray(wanted, np.float64)])
    spread = pairs.std(axis=1, keepdims=True)
    if rows < 2 or not spread.all():
        return None
    x, y = (pairs - pairs.mean(axis=1, keepdims=True)) / spread
    value = float(np.mean(x * y))
    others, weights = _with_others(x, y)
    smoothed = float(weights @ (others[0] * others[1])) / (rows + _WRONG)
    influences = others[0] * others[1] - smoothed * (others[0] ** 2 + others[1] ** 2) / 2
    return _scaled(value, smoothed, float(weights @ influences**2) / (rows + _WRONG) ** 2, rows)


def error_interval(predicted: np.ndarray, wanted: np.ndarray, power: int) -> Interval:
    """Of the mean of ``|predicted - wanted| ** power`` <float>[rows]; errors lie between 0 and the range of the wanted numbers."""
    rows, predicted, wanted = len(wanted), np.asarray(predicted, np.float64), np.asarray(wanted, np.float64)
    (ours, theirs), weights = _with_others(predicted, wanted)
    errors = np.abs(ours - theirs) ** power
    bound = max(np.ptp(wanted) ** power, errors[:rows].max())
    if not bound:
        return 0.0, 0.0
    shares = np.minimum(errors / bound, 1)
    smoothed = float(weights @ shares) / (rows + _WRONG)
    variance = float(weights @ (shares - smoothed) ** 2) / (rows + _WRONG) ** 2
    low, high = _interval(float(shares[:rows].mean()), 0.0, smoothed, variance, rows)
    return low * bound, high * bound


def difference_interval(only_first: int, only_second: int, rows: int, level: float = LEVEL) -> Interval:
    """Of the difference of two shares of the same rows, by their score test (Tango 1998, Statistics in Medicine 17, 891-908).

    Args:
        only_first: rows that only the first one has right.
        only_second: rows that only the second one has right; there must be one of either.
        level: how often it may miss. It does not hold 0 if McNemar's test, a score test of no difference, is below.
    """
    from scipy.optimize import brentq  # here, since few commands need it

    excess, discordant, limit = only_first - only_second, only_first + only_second, ndtri(1 - level / 2)

    def score(difference: float) -> float:
        # only_second's share, the likeliest one at this difference: the root of a quadratic equation
        linear = (2 * rows - excess) * difference - discordant
        free = difference * (1 - difference)
        share = (np.sqrt(max(linear**2 + 8 * rows * only_second * free, 0)) - linear) / (4 * rows)
        spread = np.sqrt(rows * max(2 * share + free, 1e-12))
        return (excess - rows * difference) / spread

    at = excess / rows
    edge = 1 - 1e-12
    low = brentq(lambda d: score(d) - limit, -edge, at) if score(-edge) > limit else -1.0
    high = brentq(lambda d: score(d) + limit, at, edge) if score(edge) < -limit else 1.0
    return float(low), float(high)


def _interval(
    value: float, bias: float, smoothed: float, variance: float, rows: float, most: float = np.inf
) -> Interval:
    """Of a ``value`` in 0 .. 1; ``smoothed`` and its ``variance`` are with the further rows, ``most`` bounds the effective ones."""
    effective = rows
    if variance > 0 and 0 < smoothed < 1:
        effective = min(smoothed * (1 - smoothed) / variance * rows / (rows + _WRONG), most)
    low, high = share_interval(float(np.clip(value - bias, 0, 1)), effective)
    return min(low, value), max(high, value)


def _scaled(value: float, smoothed: float, variance: float, rows: float) -> Interval:
    """Of a ``value`` in -1 .. 1."""
    low, high = _interval((value + 1) / 2, 0.0, (smoothed + 1) / 2, variance / 4, rows)
    return 2 * low - 1, 2 * high - 1


def _with_wrong_rows(counts: Marginals) -> Marginals:
    """Further rows among them, all wrong, which are spread over the classes as the rows are."""
    more = 1 + _WRONG / counts.true.sum()
    return Marginals(counts.hits, counts.true * more, counts.predicted * more)


def _variance(confusions: Confusions, if_right: np.ndarray, of_true: np.ndarray, of_predicted: np.ndarray) -> float:
    """The variance of a metric, the further rows among them.

    A row's influence is the sum of what its true class and its predicted class add, and of ``if_right`` of its class if
    both are the same, <float64>[classes] each; a constant does not count.
    """
    true, predicted, counts = confusions.cells()
    rows = counts.sum()
    influences = of_true[true] + of_predicted[predicted] + if_right[true] * (true == predicted)
    shares = [np.bincount(classes, counts, len(of_true)) / rows for classes in (true, predicted)]
    means = [share @ of for share, of in zip(shares, (of_true, of_predicted), strict=True)]
    square = (
        sum(share @ of**2 for share, of in zip(shares, (of_true, of_predicted), strict=True)) + 2 * means[0] * means[1]
    )
    mean = (counts @ influences + _WRONG * sum(means)) / (rows + _WRONG)
    return ((counts @ influences**2 + _WRONG * square) / (rows + _WRONG) - mean**2) / (rows + _WRONG)


def _with_others(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs <float64>[2, 2 * rows] as they are, then each first one with another row's second one; weights <float64>[2 * rows]."""
    rows = len(first)
    order = np.random.default_rng(0).permutation(rows)
    pairs = np.stack([np.tile(first, 2), np.concatenate([second, second[order]])])
    return pairs, np.repeat([1.0, _WRONG / rows], rows)


OF_CONFUSIONS: dict[str, Callable[[Confusions], Interval | None]] = {
    "accuracy": accuracy_interval,
    "f1": f1_interval,
    "mcc": matthews_interval,
}
