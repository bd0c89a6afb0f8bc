"""Calls shared out to threads, their results in the order of the calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def results_in_order(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """What the calls return, in their order; no more than ``ahead`` of them are begun before the first is taken."""
    rest = iter(calls)
    waiting = deque(pool.submit(call) for call in islice(rest, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(call) for call in islice(rest, 1))
        yield result
