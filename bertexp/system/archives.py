"""Unpacks archives that others made, without trusting them."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from bertexp.errors import DataError
from bertexp.system.files import atomic_folder

_BROKEN_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError)


def extract(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Unpacks a tar (also compressed) or zip archive into ``folder``, which appears only when it is complete.

    Nothing is written outside the folder and no link or device is made: links to files of the archive become copies,
    all others are refused. Does nothing if ``folder`` exists.

    Raises:
        DataError: the archive is broken, of another kind, or reaches out of its folder.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        return
    try:
        with atomic_folder(folder) as new:
            for name, source in _members(archive):
                parts = PurePosixPath(name).parts
                if name.startswith("/") or ".." in parts:
                    raise DataError(f"{archive} wants to write outside its folder ({name}) and was not unpacked")
                target = new.joinpath(*parts)
                if source is None:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink)
    except _BROKEN_ARCHIVE as error:
        raise DataError(f"{archive} is not a whole tar or zip archive ({error}); fetch it again") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Yields each member's name and its content, open; None for a folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                if (info.external_attr >> 16) & 0o170000 == 0o120000:
                    raise DataError(f"{archive} holds a link ({info.filename}) and was not unpacked")
                yield info.filename, None if info.is_dir() else file.open(info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir():
                yield member.name, None
                continue
            try:
                content = tar.extractfile(member)  # of a link: the file of this archive that it names
            except (KeyError, RecursionError):
                content = None
            if content is None:
                raise DataError(f"{archive} holds {member.name}, which is no plain file, and was not unpacked")
            yield member.name, content
