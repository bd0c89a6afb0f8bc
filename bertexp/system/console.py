"""What the user sees and what goes to the run's log file."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bertexp.system.credentials import hide

_log = logging.getLogger("bertexp")
_quiet = False


def say(text: str = "") -> None:
    """Prints ``text`` for the user and keeps it in the run's log, both without the secrets of addresses."""
    text = hide(text)
    if not _quiet:
        print(text, flush=True)
    if text:
        _log.info(text)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what is said meanwhile off the terminal; the run's log still gets it."""
    global _quiet
    former, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = former


@contextmanager
def progress(what: str, total: int, unit: str, every_seconds: float = 15.0) -> Iterator[Callable[[int], None]]:
    """Gives a function to be told how many more of ``total`` are done: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty() and not _quiet:
        from tqdm import tqdm

        with tqdm(desc=what, total=total, unit=f" {unit}", unit_scale=True, dynamic_ncols=True, leave=False) as bar:
            yield bar.update
        return
    done, started = 0, time.monotonic()
    said = started

    def advance(count: int) -> None:
        nonlocal done, said
        done, now = done + count, time.monotonic()
        if now - said >= every_seconds:
            said = now
            left = (total - done) * (now - started) / max(done, 1)
            say(f"{what:<10} {done:,} of {total:,} {unit}, {left:.0f} s left")

    yield advance


@contextmanager
def log_to(file: Path, redirect_stderr: bool) -> Iterator[None]:
    """Sends Python logging and warnings to ``file``, and with ``redirect_stderr`` the native libraries' output too.

    TensorFlow's C++ side writes to file descriptor 2, so that one is pointed at the file; ``sys.stderr`` (progress bars,
    our errors, crash traces) keeps the terminal.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = open(file, "a", encoding="utf-8")  # noqa: SIM115  closed below
    handler = _LogFile(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    root = logging.getLogger()
    former_handlers, former_level = root.handlers[:], root.level
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    saved = os.dup(2) if redirect_stderr else None
    former_stderr = sys.stderr
    if saved is not None:
        former_stderr.flush()
        os.dup2(stream.fileno(), 2)
        sys.stderr = os.fdopen(os.dup(saved), "w", buffering=1, encoding="utf-8", errors="replace")
        faulthandler.enable(sys.stderr)
    try:
        yield
    finally:
        if saved is not None:
            faulthandler.disable()
            os.dup2(saved, 2)
            os.close(saved)
            sys.stderr = former_stderr
        logging.captureWarnings(False)
        root.handlers, root.level = former_handlers, former_level
        with contextlib.suppress(OSError):  # a full disk keeps the last lines
            stream.close()


class _LogFile(logging.StreamHandler):
    """Hides secrets, whoever logs them. Stays silent if a line cannot be written: a full disk is told by what must be kept, not by each line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return hide(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:
        """Drops the line."""
