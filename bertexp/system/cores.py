"""How many processor cores this process may use, and calls shared out to threads. Light."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

T = TypeVar("T")


def available_cores(root: Path = Path("/")) -> int:
    """Cores that the scheduler gives this process: those it is bound to, and no more than its groups' quota of time.

    A batch system or ``taskset`` binds; a container (``docker --cpus``, a Kubernetes limit) gets a quota. Part of a core
    counts as one.

    Args:
        root: of the file system.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min([bound, *_quotas(root)])))


def results_in_order(pool: Executor, calls: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """What the calls return, in their order; no more than ``ahead`` of them are begun before the first is taken."""
    rest = iter(calls)
    waiting = deque(pool.submit(call) for call in islice(rest, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(call) for call in islice(rest, 1))
        yield result


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in cores, of this process's control groups and of those around them (Linux, versions 1 and 2)."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        path = PurePosixPath(group.lstrip("/"))
        for place in (path, *path.parents):  # a container may see its own group as the root
            if controllers:
                folders = [root / "sys/fs/cgroup" / name / place for name in (controllers, "cpu")]
                words = [_read(folder / f"cpu.cfs_{what}_us") for folder in folders for what in ("quota", "period")]
            else:
                words = _read(root / "sys/fs/cgroup" / place / "cpu.max").split()
            yield from _share([word.strip() for word in words if word.strip()])


def _share(words: list[str]) -> Iterator[float]:
    """``["150000", "100000"]`` (microseconds, of a period) is 1.5 cores; no quota is ``max`` or ``-1``."""
    if len(words) >= 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
        yield int(words[0]) / int(words[1])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
