"""Which process this is, told apart from every other on any host, in any container, before or after a restart; and who works on what.

A lease names its holder, who renews it; others may take it once the holder is dead.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

Lease = dict[str, Any]  # an Identity's fields, worker (its name), until


@dataclass(frozen=True)
class Identity:
    """A process. A host name or a process number alone is shared by containers, and used again after a restart.

    Attributes:
        host: the machine's name.
        boot: the kernel's random id of this start; all containers of one machine share it. Empty: unknown.
        namespace: the kernel's name of the process numbers' space, one per container. Empty: unknown.
        pid: the process's number in that space.
        born: when the process began, as its system writes it.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    born: str

    def lives(self) -> bool | None:
        """Whether the process runs; None if that cannot be asked from here."""
        here = own_identity()
        ours = (self.host, self.boot, self.namespace) == (here.host, here.boot, here.namespace)
        return _born(self.pid) == self.born if ours and self.boot and self.namespace else None


def own_identity() -> Identity:
    """The process that asks."""
    return Identity(socket.gethostname(), boot_id(), _namespace(), os.getpid(), _born(os.getpid()))


@functools.cache
def boot_id() -> str:
    """The kernel's id of this start of the machine; empty if it tells none."""
    return read_kernel("/proc/sys/kernel/random/boot_id").strip()


def read_kernel(path: str | os.PathLike[str]) -> str:
    """What the kernel says in a file below /proc or /sys; empty if there is no such file."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


def worker_name() -> str:
    """Host and process number, to be read by people."""
    me = own_identity()
    return f"{me.host}:{me.pid}"


def new_lease(seconds: float) -> Lease:
    """A lease of this process, good until ``seconds`` from now (UNIX time)."""
    return asdict(own_identity()) | {"worker": worker_name(), "until": time.time() + seconds}


def is_free(lease: Lease | None) -> bool:
    """Whether nobody works under ``lease``: given up, or held by a process that is dead.

    A holder in another container or on another machine cannot be asked, nor one that an older bertexp has written
    down by host and number alone: it is dead when its lease has run out.
    """
    if not lease:
        return True
    holder = Identity(**{field.name: lease.get(field.name, "") for field in fields(Identity)})
    lives = holder.lives()
    return time.time() > lease["until"] if lives is None else not lives


def is_own(lease: Lease | None) -> bool:
    """Whether this process holds ``lease``, be it run out or not."""
    return asdict(own_identity()).items() <= (lease or {}).items()


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


def _namespace() -> str:
    """Empty if /proc shows another space than this process's own: its numbers would mean other processes."""
    try:
        return os.readlink("/proc/self/ns/pid") if os.readlink("/proc/self") == str(os.getpid()) else ""
    except OSError:
        return ""


def _born(pid: int) -> str:
    """Clock ticks from the machine's start to the process's; empty if there is none or it has ended."""
    fields = read_kernel(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if fields and fields[0] not in "ZX" else ""  # a zombie only waits to be counted
