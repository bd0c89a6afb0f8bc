"""Where a study is kept, and a lock over it that dies with its holder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bertexp.errors import ConfigError, TrackingError
from bertexp.system.credentials import WAYS, find_secret, is_hidden
from bertexp.system.files import locked

if TYPE_CHECKING:
    import sqlalchemy
    from optuna.storages import BaseStorage

Lock = Callable[[], AbstractContextManager[None]]
JOURNAL = "study.journal"


def check_storage(url: str | None) -> None:
    """Raises ``ConfigError`` if ``sweep.storage`` is not an address that many workers can share."""
    if url is not None and urlsplit(url).scheme.split("+")[0] not in ("postgresql", "mysql"):
        raise ConfigError(
            f"sweep.storage={url} must be postgresql://user@host/database or mysql://…; leave it out for a journal file in "
            f"the sweep's folder, which serves the workers of one host or one shared file system"
        )


def open_storage(folder: Path, url: str | None) -> tuple[BaseStorage, Lock]:
    """Opens the journal in ``folder`` or the database at ``url``; returns it with the lock for changes of many steps.

    Raises:
        TrackingError: the database does not answer.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if url is not None:
        known = find_secret(url) if is_hidden(url) else url
        if known is None:
            raise TrackingError(f"the password of sweep.storage={url} is not kept: {WAYS}")
        return _open_database(known)
    path = folder / JOURNAL
    lock = partial(locked, path.with_suffix(".lock"))
    with lock():
        _mend(path)
    appending: Any = _AppendLock(path)  # Optuna asks for its own base class; the two methods are what it uses
    return JournalStorage(JournalFileBackend(str(path), appending)), lock


class _AppendLock:
    """Optuna's lock around each append, as a kernel lock: Optuna's own outlives a killed holder by 30 seconds."""

    def __init__(self, path: Path):
        self._path = path.with_suffix(".append.lock")
        self._held: AbstractContextManager[None]

    def acquire(self) -> bool:
        lock = locked(self._path)
        lock.__enter__()
        self._held = lock
        return True

    def release(self) -> None:
        self._held.__exit__(None, None, None)


def _mend(path: Path) -> None:
    """Cuts off a last line that a crash of the machine left half written; the journal's reader would stop there."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _open_database(url: str) -> tuple[BaseStorage, Lock]:
    import optuna
    import sqlalchemy

    address = sqlalchemy.engine.make_url(url)
    try:
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.pool.NullPool)
        lock = _database_lock(engine)
        with lock():  # its tables are made by one worker alone
            return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True}), lock
    except (ImportError, sqlalchemy.exc.SQLAlchemyError) as error:
        cure = (
            "install its driver with: pip install 'bertexp[database]'"
            if isinstance(error, ImportError)
            else "start the server or mend the address"
        )
        raise TrackingError(f"sweep.storage={url} cannot be used ({str(error).splitlines()[0]}); {cure}") from error


def _database_lock(engine: sqlalchemy.Engine) -> Lock:
    import sqlalchemy

    key = int.from_bytes(hashlib.sha256(b"bertexp sweeps").digest()[:7], "big")
    take, give = {  # MariaDB knows no endless wait
        "postgresql": (f"SELECT pg_advisory_lock({key})", f"SELECT pg_advisory_unlock({key})"),
        "mysql": (f"SELECT GET_LOCK('bertexp-{key}', 1000000)", f"SELECT RELEASE_LOCK('bertexp-{key}')"),
    }[engine.dialect.name]

    @contextlib.contextmanager
    def alone() -> Iterator[None]:
        with engine.connect() as connection:  # the server frees the lock when the connection ends
            connection.execute(sqlalchemy.text(take))
            try:
                yield
            finally:
                connection.execute(sqlalchemy.text(give))

    return alone
