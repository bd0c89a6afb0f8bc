"""Opens files of text, whatever their encoding and compression. Standard library only, but for .zst."""

from __future__ import annotations

import codecs
import gzip
import io
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO, cast

from bertexp.data.formats.spec import COMPRESSED
from bertexp.errors import DataError

UTF8 = "utf-8-sig"  # with a byte-order mark or without
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins as UTF-16's does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def encoding_of(path: Path, given: str | None = None) -> str:
    """``given``, or what the file's byte-order mark says, or UTF-8."""
    if given is not None:
        return UTF8 if codecs.lookup(given).name == "utf-8" else given
    with _opened(path) as file:
        return encoding_by_mark(file.read(4))


def encoding_by_mark(content: bytes) -> str:
    """What the byte-order mark at the beginning of a file says, or UTF-8."""
    return next((name for mark, name in _MARKS.items() if content.startswith(mark)), UTF8)


def said_of_encoding(path: Path, given: str | None = None) -> list[str]:
    """A sentence for whoever did not give the encoding that was found."""
    found = encoding_of(path, given)
    return [f"{path} is read as {found.upper()}, by its byte-order mark"] if given is None and found != UTF8 else []


@contextmanager
def open_text(path: Path, encoding: str | None = None, newline: str = "") -> Iterator[TextIO]:
    """Opens a file, unpacked if it is compressed.

    Bytes that are no text in its encoding become surrogates where that can be, so that the row they stand in can be told.

    Raises:
        DataError: the file is broken, or of another encoding.
    """
    name = encoding or UTF8
    try:
        name = encoding_of(path, encoding)
        with io.TextIOWrapper(_opened(path), name, "surrogateescape", newline) as text:
            yield text
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in {name} ({error.reason}); name its encoding: dataset.encoding") from error
    except (EOFError, OSError, zlib.error) as error:
        if path.suffix.lower() not in COMPRESSED:
            raise
        raise DataError(f"{path} is not a whole {path.suffix} file ({error}); fetch it again") from error


def read_utf8(path: Path, encoding: str | None = None) -> bytes | mmap.mmap:
    """A whole file in UTF-8, as pyarrow reads it: mapped, without a copy, if it lies so on the disk.

    Raises:
        DataError: as ``open_text``.
    """
    is_plain = path.suffix.lower() not in COMPRESSED and path.stat().st_size > 0
    if is_plain and encoding_of(path, encoding) == UTF8:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with open_text(path, encoding) as text:
        return text.read().encode("utf-8", "surrogateescape")


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix.lower() == ".zst":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return open(path, "rb")
