"""Runs `python -m bertexp` as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    status: int
    out: str
    err: str
    seconds: float


def bertexp(*words: str, cwd: Path | None = None, **environment: str) -> Ended:
    """Runs a command line to its end."""
    started = time.monotonic()
    process = start(*words, cwd=cwd, **environment)
    out, err = process.communicate()
    return Ended(process.returncode, out, err, time.monotonic() - started)


def start(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
    """Starts a command line; its output can be read while it runs."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "bertexp", *words],
        cwd=cwd or REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
