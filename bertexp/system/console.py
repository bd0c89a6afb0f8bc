"""What the user sees and what goes to the run's log file."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def labelled(label: str, text: object) -> str:
    """``run        /folder``: a line whose text begins in the twelfth column; an empty label goes on with the line before."""
    return f"{label:<10} {text}"


def widths_of(lines: Sequence[Sequence[str]]) -> list[int]:
    """Characters that each column of a table needs."""
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def align(line: Sequence[str], widths: Sequence[int], left: int = sys.maxsize) -> str:
    """One line of a table: the first ``left`` cells begin at the left of their columns, the others end at the right."""
    cells = [*map(str.ljust, line[:left], widths), *map(str.rjust, line[left:], widths[left:])]
    return "  ".join(cells).rstrip()


def aligned(lines: Sequence[Sequence[str]], left: int = sys.maxsize) -> list[str]:
    """A table's lines, its columns two characters apart; ``left`` as in ``align``."""
    return [align(line, widths_of(lines), left) for line in lines]


class Progress(contextlib.AbstractContextManager["Progress"]):
    """How far a piece of work is: a bar on a terminal, elsewhere a line now and then.

    Args:
        what: its name.
        total: units in all; None if that is unknown.
        done: units that are done already.
        every_seconds: between two lines.
        line: makes a line of the units done, the values last shown and the seconds left.
        tell: prints a line.
        **bar: tqdm's words, in place of ours.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        every_seconds: float = 15.0,
        line: Callable[[int, Mapping[str, float], float], str] | None = None,
        tell: Callable[[str], None] = say,
        **bar: Any,
    ):
        from tqdm import tqdm

        self._total, self._done, self._every_seconds, self._tell = total, done, every_seconds, tell
        self._line = line or (lambda done, _, left: labelled(what, f"{done:,} of {total:,} {unit}, {left:.0f} s left"))
        self.is_bar = sys.stderr.isatty() and not (_quiet and tell is say)  # if not, lines are shown
        ours = {"desc": what, "unit": f" {unit}", "unit_scale": True, "dynamic_ncols": True, "leave": False}
        self._bar = tqdm(total=total, initial=done, **({"disable": not self.is_bar} | ours | bar))
        self.begin_after(0)

    def begin_after(self, units: int) -> None:
        """Counts the first units, and reckons what is left from here: those went at another pace."""
        self._count(units)
        self._begun, self._started = self._done, time.monotonic()
        self._told = self._started

    def advance(self, units: int = 1, values: Mapping[str, float] | None = None) -> None:
        """Tells that so many more units are done, and numbers to show beside them."""
        self._count(units)
        if values:
            self._bar.set_postfix({name.split("/")[-1]: f"{value:.3f}" for name, value in values.items()})
        now, done = time.monotonic(), self._done - self._begun
        if not self.is_bar and done and now - self._told >= self._every_seconds:
            self._told = now
            left = ((self._total or self._done) - self._done) * (now - self._started) / done
            self._tell(self._line(self._done, values or {}, left))

    def _count(self, units: int) -> None:
        self._done += units
        self._bar.update(units)

    def tell(self, text: str) -> None:
        """Prints a line of its own, above the bar."""
        if self.is_bar:
            self._bar.write(text, file=sys.stdout)
        else:
            self._tell(text)

    def close(self) -> None:
        """Takes the bar away."""
        self._bar.close()

    def __exit__(self, *_: object) -> None:
        self.close()


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
