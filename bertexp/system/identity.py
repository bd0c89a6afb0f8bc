"""Which process this is, told apart from every other on any host, in any container, before or after a restart."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass
from pathlib import Path


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
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    """Empty if /proc shows another space than this process's own: its numbers would mean other processes."""
    try:
        return os.readlink("/proc/self/ns/pid") if os.readlink("/proc/self") == str(os.getpid()) else ""
    except OSError:
        return ""


def _born(pid: int) -> str:
    """Clock ticks from the machine's start to the process's; empty if there is none or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # a zombie only waits to be counted
