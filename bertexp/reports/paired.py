"""Which differences between tested runs are real: paired statistics over the same test rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bertexp.errors import DataError
from bertexp.reports.confusions import Confusions, count_confusions
from bertexp.reports.intervals import LEVEL, difference_interval

ALL_PAIRS_UP_TO = 6  # runs; of more, each is shown against the best only


@dataclass(frozen=True)
class Predictions:
    """What one run made of its labelled test rows, in an order that its content alone decides."""

    rows_digest: str  # equal for runs tested on the same rows
    correct: np.ndarray  # <bool>[rows]
    confusions: Confusions | None  # of the classes; None: the rows are not of one class each

    @property
    def accuracy(self) -> float:
        """The share of rows whose label was predicted, 0 .. 1."""
        return float(self.correct.mean())


@dataclass(frozen=True)
class Pair:
    """Two runs on the same rows; differences are ``first`` minus ``second``."""

    first: str
    second: str
    only_first: int  # rows that the first run alone has right
    only_second: int
    difference: float  # of the accuracies
    low: float | None  # interval of the difference at the level that Holm's correction leaves; None: no row differs
    high: float | None
    p: float  # McNemar's exact test
    p_corrected: float  # Holm, over every pair there is

    @property
    def real(self) -> bool:
        """Whether chance in the choice of test rows is ruled out at ``LEVEL``."""
        return self.p_corrected < LEVEL

    @property
    def verdict(self) -> str:
        """``real (p = 0.003)`` or ``not told apart (p = 0.4)``; p is the corrected one."""
        p = f"p = {self.p_corrected:.3g}" if self.p_corrected >= 1e-4 else "p < 0.0001"
        return f"{'real' if self.real else 'not told apart'} ({p})"


def read_predictions(path: Path) -> Predictions | None:
    """Reads a run's ``predictions.parquet``; ``None`` where there is none, or its rows have no labels or numbers as such.

    A row is right where label and prediction are the same in words, of several classes and of tags all; an answer is right
    where it is an exact match.

    Rows are ordered by a digest of text, second text and label. Rows that are equal in all three are ordered by whether
    they were predicted rightly, so that the file's order never counts.

    Raises:
        DataError: the file is damaged or lacks a column.
    """
    if not path.exists():
        return None
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)  # unlike read_table it takes no columns from folder names such as a=b
        names = file.schema_arrow.names
        optional = [name for name in ("text_pair", "exact_match") if name in names]
        needed = ["text", "label", "predicted", *optional]
        table = file.read(columns=needed)
        table = table.filter(pc.is_valid(table["label"]))
    except (pa.ArrowException, KeyError, OSError) as error:
        raise DataError(
            f"{path} is not a table of predictions ({error}); leave that run out or run it again"
        ) from error
    if not table.num_rows or pa.types.is_floating(table["label"].type):
        return None
    pairs = table["text_pair"].to_pylist() if "text_pair" in needed else [None] * table.num_rows
    contents = zip(table["text"].to_pylist(), pairs, table["label"].to_pylist(), strict=True)
    keys = [hashlib.sha256(repr(content).encode()).digest() for content in contents]
    right = pc.equal(table["label"], table["predicted"]) if "exact_match" not in needed else table["exact_match"]
    correct = np.asarray(right, bool)
    order = sorted(range(len(keys)), key=lambda row: (keys[row], correct[row]))
    return Predictions(
        rows_digest=hashlib.sha256(b"".join(keys[row] for row in order)).hexdigest(),
        correct=correct[order],
        confusions=_count(table, file.schema_arrow, path) if "probability" in names else None,
    )


def _count(table: Any, schema: Any, path: Path) -> Confusions:
    """The confusions of the classes that have a column ``p_<class>``; of many classes, of those that occur."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [
        name.removeprefix("p_") for name in schema.names[schema.names.index("predicted") :] if name.startswith("p_")
    ]
    classes = len(names) or int((schema.metadata or {}).get(b"classes", 0))
    if not names:
        names = sorted({*table["label"].unique().to_pylist(), *table["predicted"].unique().to_pylist()})
    true, predicted = (pc.index_in(table[name], value_set=pa.array(names)) for name in ("label", "predicted"))
    if true.null_count or predicted.null_count:
        raise DataError(f"{path} holds a label without a column of its probability; leave that run out or run it again")
    return count_confusions(true.to_numpy(), predicted.to_numpy(), max(classes, len(names)))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's test (McNemar 1947, Psychometrika 12, 153-157), exact conditional form.

    Where both runs are as good, each row that one of them alone has right is a fair coin. The binomial tail of the
    rarer side is doubled and capped at 1 (Fagerland, Lydersen and Laake 2013, BMC Med Res Methodol 13:91). Integers all
    the way, so no tail is too small or too long.
    """
    tosses = only_first + only_second
    tail = ways = 1
    for heads in range(1, min(only_first, only_second) + 1):
        ways = ways * (tosses - heads + 1) // heads  # math.comb(tosses, heads), from the one before
        tail += ways
    return min(1.0, 2 * tail / 2**tosses)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for their number, in their order (Holm 1979, Scand J Statist 6, 65-70).

    Calling real what is below 0.05 then errs, in the whole family, with a probability of at most 0.05.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def group_by_rows(tested: Mapping[str, Predictions]) -> list[list[str]]:
    """Returns the runs' names in groups that were tested on the same rows."""
    groups: dict[str, list[str]] = {}
    for name, predictions in tested.items():
        groups.setdefault(predictions.rows_digest, []).append(name)
    return list(groups.values())


def compare_pairs(tested: Mapping[str, Predictions]) -> tuple[list[Pair], int]:
    """Tests the runs that share their rows: every pair, or each against its group's most accurate where there are many.

    Returns:
        The pairs to show, and how many p was corrected for. That is always every pair of a group, since the most
        accurate run was picked by looking at the same rows.
    """
    best: set[str] = set()
    every: list[tuple[str, str]] = []
    for group in group_by_rows(tested):
        first = max(group, key=lambda name: tested[name].accuracy) if len(tested) > ALL_PAIRS_UP_TO else group[0]
        best.add(first)
        every += combinations([first, *(name for name in group if name != first)], 2)
    discordant = [_discordant(*(tested[name].correct for name in pair)) for pair in every]
    p_values = [mcnemar_exact(*counts) for counts in discordant]
    shown = [
        _describe(pair, counts, len(tested[pair[0]].correct), p_value, corrected, len(every))
        for pair, counts, p_value, corrected in zip(every, discordant, p_values, holm(p_values), strict=True)
        if len(tested) <= ALL_PAIRS_UP_TO or pair[0] in best
    ]
    return shown, len(every)


def _discordant(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    return int((first & ~second).sum()), int((second & ~first).sum())


def _describe(
    pair: tuple[str, str], discordant: tuple[int, int], rows: int, p: float, p_corrected: float, tests: int
) -> Pair:
    only_first, only_second = discordant
    low = high = None
    if only_first or only_second:
        left = p / p_corrected if p_corrected else 1 / tests  # of the family's level
        low, high = difference_interval(only_first, only_second, rows, LEVEL * left)
        # the exact test is the stricter one: where it tells nothing apart, the interval holds 0
        low, high = (low, high) if p_corrected < LEVEL else (min(low, 0.0), max(high, 0.0))
    return Pair(*pair, only_first, only_second, (only_first - only_second) / rows, low, high, p, p_corrected)
