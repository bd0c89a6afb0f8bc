"""Who works on a trial: a lease that its holder renews, and that others may take once the holder is dead."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from typing import Any

from bertexp.system.identity import Identity, own_identity

Lease = dict[str, Any]  # an Identity's fields, worker (its name), until


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
