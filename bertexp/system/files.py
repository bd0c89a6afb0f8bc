"""Files and folders that are complete or absent, and locks that end with their holder. The package has no others.

A writer works under a temporary name in the target's folder, holds a kernel lock on it, and renames at the end. The
kernel frees the lock when the writer dies, in whatever container it ran: so the next writer in that folder knows the
temporaries that nobody works on, and removes them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from bertexp.errors import BertexpError, DiskFull, FormatUnknown
from bertexp.system.identity import boot_id

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_PREFIX, _SUFFIX = ".bertexp-", ".tmp"
_DEAD_SECONDS = 24 * 3600.0  # age of another machine's temporary: its lock may not be seen here
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of renameat2(2), Linux

FIRST_FORMAT = 1  # that of a file without a number: commit 8e6fea5 and earlier ones wrote none

AnyPath = str | os.PathLike[str]


@contextlib.contextmanager
def atomic_file(path: AnyPath, mode: str = "w") -> Iterator[IO[Any]]:
    """Gives a file to write, which becomes ``path`` when the body ends and disappears when it raises.

    A library that opens files itself is given ``file.name``. Text is UTF-8. A link is followed. Something that is no
    plain file (``/dev/stdout``) is written as it is.

    Raises:
        DiskFull: the disk is full.
    """
    path = Path(os.path.realpath(path))
    encoding = None if "b" in mode else "utf-8"
    if path.exists() and not path.is_file():
        with open(path, mode, encoding=encoding) as file:
            yield file
        return
    with _temporary(path.parent) as (temporary, descriptor):
        with open(temporary, mode, encoding=encoding) as file:
            yield file
        os.fsync(descriptor)
        publish(temporary, path)


def write_text(path: AnyPath, text: str) -> None:
    """Writes a whole text file; a reader sees the old one or the new one, also after a crash."""
    with atomic_file(path) as file:
        file.write(text)


def read_numbered(path: Path, newest: int) -> dict[str, Any]:
    """The content of a JSON file whose ``format`` is at most ``newest``; it has that key whether or not it was written.

    Raises:
        FileNotFoundError: there is no such file.
        FormatUnknown: a later bertexp wrote it.
    """
    content: dict[str, Any] = {"format": FIRST_FORMAT} | json.loads(path.read_text(encoding="utf-8"))
    if content["format"] > newest:
        raise FormatUnknown(
            f"{path} has format {content['format']}, and this bertexp reads up to {newest}: a later one wrote it; upgrade "
            "bertexp to go on with it"
        )
    return content


@contextlib.contextmanager
def atomic_folder(path: AnyPath, replace: bool = False) -> Iterator[Path]:
    """Gives an empty folder to fill, which becomes ``path`` when the body ends and disappears when it raises.

    Args:
        replace: whether it takes the place of a folder that is there by then, so that at any moment a reader finds the
            old or the new one (on file systems that can exchange two names; a moment lies between elsewhere). If not,
            that folder stays: another process was faster.

    Raises:
        DiskFull: the disk is full.
    """
    path = Path(os.path.realpath(path))
    with scratch_folder(path.parent) as scratch:
        new = scratch / path.name
        new.mkdir()
        yield new
        for folder, _, names in os.walk(new):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        try:
            os.rename(new, path)
        except OSError:
            if not path.is_dir():
                raise
            if replace:
                _exchange(new, path, scratch / "former")
        _sync(path.parent)


@contextlib.contextmanager
def scratch_folder(parent: AnyPath) -> Iterator[Path]:
    """Gives an empty folder below ``parent`` that is removed at the end; after a kill, by the next writer there."""
    with _temporary(Path(parent)) as (temporary, _):
        folder = _folder_of(temporary)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(path: AnyPath, *, wait: str = "", fail: BertexpError | None = None) -> Iterator[None]:
    """Keeps every other holder of the lock file ``path`` out, threads of this process too, while the body runs.

    Args:
        wait: is printed if another holds the lock.
        fail: is raised then, instead of waiting.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:  # what closes it frees the lock
        if not _try_lock(file):
            if fail is not None:
                raise fail
            if wait:
                print(wait, file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def publish(written: Path, path: Path) -> None:
    """Renames a synced file to ``path`` for good, also if the machine stops right after."""
    os.replace(written, path)
    _sync(path.parent)


@contextlib.contextmanager
def enough_space(folder: AnyPath) -> Iterator[None]:
    """Turns a full disk, whichever library met it, into one sentence.

    Raises:
        DiskFull: the body found no space.
    """
    try:
        yield
    except BertexpError:
        raise
    except Exception as error:
        full = getattr(error, "errno", None) in NO_SPACE
        if full or os.strerror(errno.ENOSPC) in str(error):  # TensorFlow's errors carry the text alone
            raise DiskFull(f"no space is left on the disk of {folder}; free some and run again") from error
        raise


@contextlib.contextmanager
def _temporary(parent: Path) -> Iterator[tuple[Path, int]]:
    """A new, empty, locked file in ``parent``, and its descriptor; what is left under that name at the end goes."""
    with enough_space(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _remove_dead(parent)
        path, descriptor = _claim(parent)
        try:
            yield path, descriptor
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _claim(parent: Path) -> tuple[Path, int]:
    while True:
        path = parent / f"{_PREFIX}{_machine()}-{os.urandom(8).hex()}{_SUFFIX}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return path, descriptor
        os.close(descriptor)  # another writer removed it before it was locked


def _remove_dead(parent: Path) -> None:
    """Removes the temporaries whose writer is gone."""
    for path in parent.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if _machine() in path.name or time.time() - path.stat().st_mtime > _DEAD_SECONDS:
                with open(path, "r+b") as file:
                    if _try_lock(file):
                        shutil.rmtree(_folder_of(path), ignore_errors=True)
                        path.unlink(missing_ok=True)


def _folder_of(temporary: Path) -> Path:
    """A folder cannot be locked on every file system; the file beside it is."""
    return temporary.with_name(f"{temporary.name}.d")


def _machine() -> str:
    """Eight digits that all containers of one started machine share: between them the kernel's locks hold."""
    return hashlib.sha256((boot_id() or socket.gethostname()).encode()).hexdigest()[:8]


def _try_lock(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _exchange(new: Path, path: Path, former: Path) -> None:
    """Lets ``new`` and ``path`` change names at once, or with ``path`` absent for a moment if the system cannot."""
    import ctypes  # of no use to a start

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename and rename(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(path), _RENAME_EXCHANGE) == 0:
        return
    os.rename(path, former)
    os.rename(new, path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)
