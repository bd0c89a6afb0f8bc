"""A peer is a process that stays: it reads one JSON request a line and answers each with one JSON line.

Imports nothing but the standard library, for it runs in every peer's environment.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable


def serve(answer: Callable[[dict], dict]) -> None:
    """Answers requests until standard input ends; whatever else is printed goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=replies)


class StepClock:
    """Seconds of each training step, from the end of the step before (the first one: from the start)."""

    def __init__(self) -> None:
        self._ends = [time.perf_counter()]

    def tick(self) -> None:
        """A step has ended."""
        self._ends.append(time.perf_counter())

    def seconds(self, settled: int = 2) -> float:
        """Of all steps, the first ``settled`` ones (graphs, buffers) counted as much as the others' mean."""
        steps = [end - begin for begin, end in zip(self._ends, self._ends[1:])]  # noqa: B905  Python 3.9 peers
        return statistics.fmean(steps[settled:]) * len(steps)


def median_seconds(step: Callable[[], object], count: int = 21) -> float:
    """Median of ``count`` calls, after three more to settle."""
    seconds = []
    for _ in range(3 + count):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[3:])
