"""Intervals of results: exact where the literature has figures, and holding the true value as often as they say."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from bertexp.reports.confusions import count_confusions, f1_of, matthews_of
from bertexp.reports.intervals import (
    OF_CONFUSIONS,
    correlation_interval,
    difference_interval,
    error_interval,
    f1_interval,
    matthews_interval,
    ratio_interval,
    share_interval,
)
from bertexp.reports.paired import holm, mcnemar_exact

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import intervals as benchmark


@pytest.mark.parametrize(("right", "rows"), [(0, 20), (81, 263), (20, 20), (1, 1)])
def test_a_share_has_the_exact_interval(right, rows):
    expected = binomtest(right, rows).proportion_ci(method="exact")
    assert share_interval(right / rows, rows) == pytest.approx((expected.low, expected.high))


def test_rows_that_count_alike_make_a_ratio_a_share():
    right = np.arange(40) < 31
    low, high = ratio_interval(right, np.ones(40))
    assert (low, high) == pytest.approx(share_interval(31 / 40, 40), abs=0.02)


def test_sentences_that_are_all_right_or_all_wrong_count_for_fewer_words():
    words = np.full(30, 20)
    even, lumped = np.full(30, 16), np.where(np.arange(30) < 24, 20, 0)
    narrow, wide = (np.ptp(ratio_interval(right, words)) for right in (even, lumped))
    assert wide > 2 * narrow
    assert wide == pytest.approx(np.ptp(share_interval(0.8, 30)), rel=0.1)


@pytest.mark.parametrize("classes", [2, 20])
def test_an_interval_holds_the_value_that_it_is_of(classes):
    for wrong in (0, 1, 10, classes * 20):
        true = np.arange(classes * 20) % classes
        counts = count_confusions(true, np.where(np.arange(len(true)) < wrong, (true + 1) % classes, true), classes)
        for interval, metric in ((f1_interval, f1_of), (matthews_interval, matthews_of)):
            low, high = interval(counts)
            assert low <= metric(counts.marginals()) <= high
            assert high - low < (0.5 if classes == 2 else 0.2) or interval is matthews_interval


def test_a_flawless_sample_does_not_promise_a_flawless_model():
    counts = count_confusions(np.arange(40) % 2, np.arange(40) % 2, 2)
    assert all(0.8 < interval(counts)[0] < 0.95 for name, interval in OF_CONFUSIONS.items() if name != "mcc")
    assert ratio_interval(np.ones(20), np.ones(20))[0] == pytest.approx(share_interval(1, 20)[0], abs=0.01)


def test_there_is_none_of_rare_classes_of_undefined_correlations_and_of_nothing():
    true = np.repeat([0, 1, 2], [4, 20, 20])
    assert f1_interval(count_confusions(true, true, 3)) is None
    assert f1_interval(count_confusions(true[1:], true[1:], 2 + 1)) is None
    assert f1_interval(count_confusions(np.append(true, 0), np.append(true, 0), 3)) is not None
    assert matthews_interval(count_confusions(true > 0, np.ones(44, int), 2)) is None
    assert correlation_interval(np.ones(9), np.arange(9)) is None
    assert ratio_interval(np.zeros(9), np.zeros(9)) is None
    assert [interval(count_confusions([], [], 3)) for interval in OF_CONFUSIONS.values()] == [None] * 3


def test_many_classes_need_no_matrix():
    true = np.arange(40_000) % 8000
    counts = count_confusions(true, np.where(np.arange(40_000) % 10, true, 0), 30_000)
    low, high = matthews_interval(counts)
    assert low < matthews_of(counts.marginals()) < high < low + 0.01


def test_a_difference_has_tangos_interval():
    # Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33, 2850-2875: 1 and 7 of 21
    assert difference_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert difference_interval(7, 1, 21) == pytest.approx((0.026, 0.517), abs=5e-4)
    assert difference_interval(20, 0, 20)[1] == 1.0


def test_what_the_test_tells_apart_its_interval_tells_apart():
    told = 0
    for first in range(25):
        for second in range(25):
            for level in (0.05, 0.01, 0.001):
                if first + second and mcnemar_exact(first, second) < level:
                    low, high = difference_interval(first, second, first + second + 20, level)
                    assert not low <= 0 <= high
                    told += 1
    assert told > 400


def test_errors_lie_between_nothing_and_the_range():
    wanted = np.arange(50) % 10
    low, high = error_interval(wanted + np.where(np.arange(50) == 3, 1, 0), wanted, power=1)
    assert 0 <= low <= 1 / 50 <= high < 1.5
    assert error_interval(wanted, wanted, power=2)[0] == 0
    assert error_interval(np.ones(4), np.ones(4), power=1) == (0, 0)


CELLS = [case for case in benchmark.cases() if case[1] in ("", "20") and case[2] in (0.5, 0.99)]


@pytest.mark.parametrize(("task", "classes", "right", "draw", "metrics"), CELLS, ids=lambda value: str(value)[:20])
def test_intervals_hold_the_true_value_as_often_as_they_say(task, classes, right, draw, metrics):
    for rows, least in ((20, 0.86), (100, 0.92)):
        for cell in benchmark.measure(draw, metrics, rows, samples=200, seed=1, many=100_000):
            assert not cell.printed or cell.covered >= least - 0.02  # of 200 draws: one standard error


def test_holm_leaves_each_pair_a_level_of_its_own():
    values = [0.001, 0.02, 0.04]
    levels = [0.05 * value / corrected for value, corrected in zip(values, holm(values), strict=True)]
    assert [value < level for value, level in zip(values, levels, strict=True)] == [
        corrected < 0.05 for corrected in holm(values)
    ]
