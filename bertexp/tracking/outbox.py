"""Metric points on their way to a store: collected at once, sent in batches by a thread of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

FULL = 1000  # points in one call: MLflow's limit
PAUSE_SECONDS = 2.0  # between two deliveries
PAUSE_AFTER_FAILURE_SECONDS = 20.0


class Point(NamedTuple):
    """One value of one metric, its fields in MLflow's order."""

    key: str
    value: float
    timestamp_ms: int
    step: int


class Outbox:
    """Takes points in microseconds and sends them in order; what could not be sent stays and is tried again."""

    def __init__(self, send: Callable[[Sequence[Point]], None], on_failure: Callable[[Exception], None]):
        self._send = send
        self._on_failure = on_failure
        self._points: deque[Point] = deque()
        self._sending = threading.Lock()  # held during a delivery, so that points keep their order
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._deliver_regularly, name="metrics", daemon=True)

    def begin(self) -> None:
        """Lets the sending begin; until then points are collected."""
        self._thread.start()

    def put(self, key: str, value: float, step: int) -> Point:
        """Takes one point, stamped with the time of now."""
        point = Point(key, value, time.time_ns() // 1_000_000, step)
        self._points.append(point)
        return point

    def flush(self) -> bool:
        """Sends everything now; returns False when the store did not take it."""
        with self._sending:
            while self._points:
                # by index: `put` may append meanwhile, which an iterator over a deque does not allow
                batch = [self._points[i] for i in range(min(FULL, len(self._points)))]
                try:
                    self._send(batch)
                except Exception as error:  # whatever a store may raise must not reach the training
                    self._on_failure(error)
                    return False
                for _ in batch:
                    self._points.popleft()
        return True

    def close(self) -> int:
        """Ends the thread after a last try; returns the number of points that were never taken."""
        self._closed.set()
        if self._thread.ident:
            self._thread.join()
        self.flush()
        return len(self._points)

    def _deliver_regularly(self) -> None:
        pause = PAUSE_SECONDS
        while not self._closed.wait(pause):
            pause = PAUSE_SECONDS if self.flush() else PAUSE_AFTER_FAILURE_SECONDS
