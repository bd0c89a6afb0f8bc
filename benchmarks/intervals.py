"""How often does a 95% interval that bertexp prints hold the true value?

Usage: python benchmarks/intervals.py [--samples 2000] [--seed 0]

Test rows are drawn many times, as a model would answer them that is right with a given chance. The true value of a metric
is its value on a million such rows. Writes benchmarks/results/intervals.md; ``tests/fast/test_intervals.py`` holds a few of
its cells.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from report import describe_machine
from scipy.stats import rankdata

from bertexp.reports.confusions import accuracy_of, count_confusions, f1_of, matthews_of
from bertexp.reports.intervals import (
    OF_CONFUSIONS,
    correlation_interval,
    difference_interval,
    error_interval,
    ratio_interval,
    share_interval,
)

HERE = Path(__file__).resolve().parent
ROWS = (20, 100, 1000)
RIGHT = (0.5, 0.9, 0.99)
CLASSES = (2, 20, 77)
MANY_ROWS = 1_000_000

Draw = Callable[[np.random.Generator, int], Any]  # of so many rows


class Metric(NamedTuple):
    """A metric with its interval, both from what is drawn."""

    name: str
    value: Callable[[Any], Any]
    interval: Callable[[Any], tuple[float, float] | None]


class Cell(NamedTuple):
    """What was found of a metric: the share of intervals that hold the true value, of the draws that have one, and their width."""

    covered: float
    printed: float
    width: float


def draw_classes(classes: int, right: float, random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes <int64>[rows]."""
    true = random.integers(0, classes, rows)
    wrong = (true + random.integers(1, classes, rows)) % classes
    return true, np.where(random.random(rows) < right, true, wrong)


def draw_sets(classes: int, right: float, random: np.random.Generator, rows: int) -> np.ndarray:
    """Hits, given, wanted and whether all is right <int64>[rows, 4]; each decision on a class is right with the chance."""
    wanted = random.random((rows, classes)) < (0.5 if classes == 2 else max(2 / classes, 0.05))
    given = wanted ^ (random.random((rows, classes)) >= right)
    return np.stack([(wanted & given).sum(1), given.sum(1), wanted.sum(1), (wanted == given).all(1)], axis=1)


def draw_sentences(right: float, random: np.random.Generator, rows: int) -> np.ndarray:
    """Entities hit, predicted and true, words right and words <int64>[rows, 5]; sentences are of unlike difficulty."""
    true, words = random.integers(0, 5, rows), random.geometric(1 / 18, rows) + 4
    chance = random.beta(8 * right, 8 * (1 - right), rows)
    hits = random.binomial(true, chance)
    missed, made_up = random.binomial(true - hits, 0.5), random.binomial(true, (1 - chance) / 2)
    return np.stack([hits, true - missed + made_up, true, random.binomial(words, chance), words], axis=1)


def draw_answers(right: float, random: np.random.Generator, rows: int) -> np.ndarray:
    """F1 of answers <float64>[rows]: 1, or else a part of it or nothing."""
    partly = np.where(random.random(rows) < 0.4, random.random(rows), 0)
    return np.where(random.random(rows) < right, 1.0, partly)


def draw_numbers(classes: int, right: float, random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and wanted numbers <float64>[rows]: marks from 0 on, of which some are taken for another one."""
    wanted, read = draw_classes(classes, right, random, rows)
    return read + random.normal(0, 0.1, rows), wanted.astype(float)


def draw_pairs(right: float, random: np.random.Generator, rows: int) -> tuple[int, int, int]:
    """Rows that only the first of two models has right, only the second, and all; the second is worse by a tenth of its errors."""
    first = random.random(rows) < right
    second = np.where(random.random(rows) < 0.5, first, random.random(rows) < right - (1 - right) / 5)
    return int((first & ~second).sum()), int((second & ~first).sum()), rows


def share(of: np.ndarray) -> float:
    return float(of.mean())


def ratio(parts: np.ndarray, wholes: np.ndarray) -> float:
    return float(parts.sum() / wholes.sum())


def classification(classes: int) -> list[Metric]:
    scores = {"accuracy": accuracy_of, "f1": f1_of, "mcc": matthews_of}
    counted = partial(count_confusions, classes=classes)
    return [
        Metric(
            name,
            lambda drawn, score=score: score(counted(*drawn).marginals()),
            lambda drawn, name=name: OF_CONFUSIONS[name](counted(*drawn)),
        )
        for name, score in scores.items()
    ]


MULTI_LABEL = [
    Metric(
        "f1",
        lambda sets: ratio(2 * sets[:, 0], sets[:, 1] + sets[:, 2]),
        lambda sets: ratio_interval(sets[:, 0], (sets[:, 1] + sets[:, 2]) / 2),
    ),
    Metric("exact match", lambda sets: share(sets[:, 3]), lambda sets: share_interval(share(sets[:, 3]), len(sets))),
]
TAGGING = [
    Metric(
        "f1",
        lambda counts: ratio(2 * counts[:, 0], counts[:, 1] + counts[:, 2]),
        lambda counts: ratio_interval(counts[:, 0], (counts[:, 1] + counts[:, 2]) / 2),
    ),
    Metric(
        "accuracy",
        lambda counts: ratio(counts[:, 3], counts[:, 4]),
        lambda counts: ratio_interval(counts[:, 3], counts[:, 4]),
    ),
]
QUESTION_ANSWERING = [
    Metric("f1", share, lambda f1: ratio_interval(f1, np.ones(len(f1)))),
    Metric("exact match", lambda f1: share(f1 == 1), lambda f1: share_interval(share(f1 == 1), len(f1))),
]
REGRESSION = [
    Metric("pearson", lambda pairs: np.corrcoef(*pairs)[0, 1], lambda pairs: correlation_interval(*pairs)),
    Metric(
        "spearman",
        lambda pairs: np.corrcoef(*map(rankdata, pairs))[0, 1],
        lambda pairs: correlation_interval(*map(rankdata, pairs)),
    ),
    Metric("mae", lambda pairs: np.abs(pairs[0] - pairs[1]).mean(), lambda pairs: error_interval(*pairs, power=1)),
    Metric("mse", lambda pairs: ((pairs[0] - pairs[1]) ** 2).mean(), lambda pairs: error_interval(*pairs, power=2)),
]
PAIRS = [
    Metric(
        "difference of accuracies",
        lambda counts: (counts[0] - counts[1]) / counts[2],
        lambda counts: difference_interval(*counts) if counts[0] + counts[1] else None,
    )
]


def cases() -> Iterator[tuple[str, str, float, Draw, list[Metric]]]:
    """Task, classes in words, chance of a right answer, how rows are drawn, and the metrics."""
    for right in RIGHT:
        for classes in CLASSES:
            yield "classification", str(classes), right, partial(draw_classes, classes, right), classification(classes)
            yield "multi_label", str(classes), right, partial(draw_sets, classes, right), MULTI_LABEL
            yield "regression", str(classes), right, partial(draw_numbers, classes, right), REGRESSION
        yield "tagging", "", right, partial(draw_sentences, right), TAGGING
        yield "question_answering", "", right, partial(draw_answers, right), QUESTION_ANSWERING
        yield "compare", "", right, partial(draw_pairs, right), PAIRS


def measure(draw: Draw, metrics: list[Metric], rows: int, samples: int, seed: int, many: int = MANY_ROWS) -> list[Cell]:
    """Draws so many ``samples`` of ``rows``; a cell for each metric, NaN where none of them has an interval."""
    random = np.random.default_rng([seed, rows])
    everything = draw(random, many)
    held: list[list[bool]] = [[] for _ in metrics]
    widths: list[list[float]] = [[] for _ in metrics]
    true = [float(metric.value(everything)) for metric in metrics]
    for _ in range(samples):
        drawn = draw(random, rows)
        for index, metric in enumerate(metrics):
            if (bounds := metric.interval(drawn)) is not None:
                held[index].append(bounds[0] <= true[index] <= bounds[1])
                widths[index].append(bounds[1] - bounds[0])
    found = zip(held, widths, strict=True)
    return [Cell(np.mean(h), len(h) / samples, np.mean(w)) if h else Cell(math.nan, 0, math.nan) for h, w in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table: dict[tuple[str, str, str, float], list[str]] = {}
    least = dict.fromkeys(ROWS, 1.0)
    for task, classes, right, draw, metrics in cases():
        for rows in ROWS:
            cells = measure(draw, metrics, rows, arguments.samples, arguments.seed)
            for metric, cell in zip(metrics, cells, strict=True):
                text = "no interval"
                if cell.printed:
                    least[rows] = min(least[rows], cell.covered)
                    some = "" if cell.printed == 1 else f", {cell.printed:.0%} have one"
                    text = f"{cell.covered:.3f} ({cell.width:.3g}{some})"
                table.setdefault((task, metric.name, classes, right), []).append(text)
        print(task, classes, right, flush=True)
    machine = describe_machine()
    lines = [
        f"# How often 95% intervals hold the true value: commit {machine['commit']}, {machine['date']}",
        "",
        f"{arguments.samples:,} draws a cell; in brackets the mean width. Least of all cells: "
        + ", ".join(f"{value:.3f} at {rows:,} rows" for rows, value in least.items())
        + ".",
        "",
        f"| task | metric | classes | right | {' | '.join(f'{rows:,} rows' for rows in ROWS)} |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(map(str, key))} | {' | '.join(texts)} |" for key, texts in sorted(table.items())),
    ]
    path = HERE / "results/intervals.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path}: {lines[2]}")


if __name__ == "__main__":
    main()
