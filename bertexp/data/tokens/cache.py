"""Tokens on disk, kept between runs: a memory-mapped Arrow file for each column of texts."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from bertexp.data.arrow_file import write_arrow
from bertexp.system.files import enough_space

Progress = Callable[[int], None]  # told how many texts were just done
Chunk = tuple[list[np.ndarray], np.ndarray]  # arrays of one value a token, and the tokens in each row


class TokenCache:
    """One file of the token cache: list columns of one <int32> a token, all of the same lengths.

    Args:
        folder: of the cache; made if missing.
        fingerprint: of the texts.
        part: which of them, such as ``train/text``.
        tokenizer: its fingerprint.
        columns: their names.
    """

    def __init__(self, folder: str | Path, fingerprint: str, part: str, tokenizer: str, columns: tuple[str, ...]):
        self._key = f"{fingerprint} {part} {tokenizer}"
        name = f"{part.replace('/', '-')}-{hashlib.sha256(self._key.encode()).hexdigest()[:16]}.arrow"
        self._path = Path(folder) / name
        self._columns = columns

    def get(
        self, n_rows: int, encode: Callable[[], Iterator[Chunk]], progress: Progress | None
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Returns the columns and the offsets of their rows <int64>[n_rows + 1]; ``encode`` makes what is not there."""
        cached = self._read(n_rows)
        if cached is not None:
            if progress:
                progress(n_rows)
            return cached
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # The ids go to nameless files as they come and from there into the Arrow file: a million rows never lie in memory.
        with enough_space(self._path.parent), contextlib.ExitStack() as stack:
            scratch = [stack.enter_context(tempfile.TemporaryFile(dir=self._path.parent)) for _ in self._columns]
            lengths = [np.empty(0, np.int64)]
            for arrays, chunk_lengths in encode():
                for file, array in zip(scratch, arrays, strict=True):
                    file.write(array.tobytes())
                lengths.append(chunk_lengths)
            self._write(scratch, row_offsets(lengths))
        fresh = self._read(n_rows)
        if fresh is None:
            raise OSError(f"the token cache {self._path} cannot be read back right after it was written")
        return fresh

    def _write(self, scratch: Sequence[BinaryIO], offsets: np.ndarray) -> None:
        """Writes the columns (raw <int32> in ``scratch``) as one Arrow file."""
        for file in scratch:
            file.flush()
        columns = [np.memmap(file, np.int32, mode="r") if offsets[-1] else np.empty(0, np.int32) for file in scratch]
        lists = [pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values)) for values in columns]
        metadata = {"key": self._key, "checksum": _checksum(columns, offsets)}
        table = pa.table(lists, names=list(self._columns)).replace_schema_metadata(metadata)
        write_arrow(table, self._path)

    def _read(self, n_rows: int) -> tuple[list[np.ndarray], np.ndarray] | None:
        """Maps the file; None where it is absent, of another key, or damaged."""
        try:
            with pa.memory_map(str(self._path)) as file:
                reader = pa.ipc.open_file(file)
                metadata = reader.schema.metadata or {}
                batch = reader.get_batch(0)
            lists = [batch.column(name) for name in self._columns]
        except (OSError, pa.ArrowException, IndexError, KeyError):
            return None
        columns, offsets = [array.values.to_numpy() for array in lists], lists[0].offsets.to_numpy()
        if metadata.get(b"key") != self._key.encode() or len(offsets) != n_rows + 1:
            return None
        if any(len(values) != offsets[-1] for values in columns):
            return None
        if metadata.get(b"checksum") != _checksum(columns, offsets).encode():
            return None
        return columns, offsets


def row_offsets(lengths: Sequence[np.ndarray]) -> np.ndarray:
    """Where each row begins, and the last one ends, from the lengths of the rows in pieces: <int64>[n_rows + 1]."""
    return np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)


def _checksum(columns: Sequence[np.ndarray], offsets: np.ndarray) -> str:
    """Cheap enough for every start (a few ms for 25,000 reviews) and catches a flipped byte or a page of zeros."""
    return " ".join(str(int(array.sum(dtype=np.int64))) for array in (offsets, *columns)) + f" {offsets[-1]}"
