"""Who works on a trial: a lease that its holder renews, and that others may take once the holder is dead."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Lease = dict[str, Any]  # worker, host, pid, born, until


def worker_name() -> str:
    """Host and process, unique while the process lives."""
    return f"{socket.gethostname()}:{os.getpid()}"


def new_lease(seconds: float) -> Lease:
    """A lease of this process, good until ``seconds`` from now (UNIX time)."""
    pid = os.getpid()
    return {
        "worker": worker_name(),
        "host": socket.gethostname(),
        "pid": pid,
        "born": _born(pid),
        "until": time.time() + seconds,
    }


def is_free(lease: Lease | None) -> bool:
    """Whether nobody works under ``lease``: given up, held by a dead process of this host, or run out."""
    if not lease:
        return True
    if lease["host"] == socket.gethostname():
        return _born(lease["pid"]) != lease["born"]
    return time.time() > lease["until"]


@contextlib.contextmanager
def renewed(renew: Callable[[], None], every_seconds: float) -> Iterator[None]:
    """Calls ``renew`` from a thread of its own as long as the body runs."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every_seconds):
            with contextlib.suppress(Exception):  # a storage that does not answer now may answer the next time
                renew()

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _born(pid: int) -> str:
    """When the process began, as its system writes it; empty where there is none. Tells a reused number apart."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]  # a zombie only waits to be counted
    except OSError:
        pass
    if os.path.exists("/proc/self/stat"):
        return ""
    try:  # no /proc on macOS: the number alone
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
