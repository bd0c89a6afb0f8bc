"""SIGINT and SIGTERM: finish the step, write a checkpoint, end the run as interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from bertexp.errors import RunInterrupted


class StopSignal:
    """While entered, turns SIGINT and SIGTERM into an orderly end of the run.

    Inside ``deferred()`` a signal only sets ``received``, so that the loop can finish its step first; elsewhere it raises
    ``RunInterrupted`` on the spot. A second signal always ends the process the default way.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """The region in which the loop itself looks at ``received``."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def raise_if_received(self, message: str) -> None:
        """Ends the run with ``message`` if a signal has come."""
        if self.received is not None:
            raise RunInterrupted(message, self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = number
        if not self._deferred:
            self.raise_if_received(f"stopped by {signal.Signals(number).name}")
