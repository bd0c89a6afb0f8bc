"""Arrow files that are whole or not there, and columns of lists that grow longer than memory."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from bertexp.system.files import atomic_file, enough_space


def write_arrow(table: pa.Table, path: Path) -> None:
    """Writes ``table`` with its metadata, in at least one record batch, also if it has no rows."""
    schema = table.schema
    batches = table.to_batches() or [pa.record_batch([pa.array([], type) for type in schema.types], schema=schema)]
    with atomic_file(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def map_arrow(path: Path) -> pa.Table:
    """The table of a file, mapped and not read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def identity_of(files: Iterable[Path]) -> str:
    """A short name for these versions of files that a table is made of, without reading all of them."""
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        with open(file, "rb") as opened:
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode() + opened.read(1 << 12))
    return digest.hexdigest()[:16]


class GrowingLists:
    """A column of lists of <int32>: the values go to a file as they come, so a million rows never lie in memory."""

    def __init__(self, file: BinaryIO):
        self._file, self._lengths = file, [np.zeros(0, np.int64)]

    def append(self, values: np.ndarray, lengths: np.ndarray) -> None:
        """Adds rows: their ``values`` <int32>[sum of lengths], one row after the other."""
        self._file.write(values.tobytes())
        self._lengths.append(lengths)

    def as_array(self) -> pa.LargeListArray:
        """All rows; the values are mapped, not read."""
        self._file.flush()
        values = np.memmap(self._file, np.int32, mode="r") if self._file.tell() else np.empty(0, np.int32)
        return pa.LargeListArray.from_arrays(pa.array(row_offsets(self._lengths)), pa.array(values))


@contextmanager
def growing_lists(folder: Path, count: int) -> Iterator[list[GrowingLists]]:
    """Gives ``count`` columns whose values lie in nameless files in ``folder`` (made if missing) while the body runs.

    Raises:
        EnvironmentProblem: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with enough_space(folder), ExitStack() as stack:
        yield [GrowingLists(stack.enter_context(tempfile.TemporaryFile(dir=folder))) for _ in range(count)]


def row_offsets(lengths: Sequence[np.ndarray]) -> np.ndarray:
    """Where each row begins, and the last one ends, from the lengths of the rows in pieces: <int64>[n_rows + 1]."""
    return np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
