"""Tokens on disk, kept between runs: a memory-mapped Arrow file for each column of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bertexp.data.arrow_file import growing_lists, write_arrow

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
        with growing_lists(self._path.parent, len(self._columns)) as columns:
            for arrays, lengths in encode():
                for column, array in zip(columns, arrays, strict=True):
                    column.append(array, lengths)
            lists = [column.as_array() for column in columns]
            metadata = {"key": self._key, "checksum": _checksum(lists)}
            table = pa.table(lists, names=list(self._columns)).replace_schema_metadata(metadata)
            write_arrow(table, self._path)
        fresh = self._read(n_rows)
        if fresh is None:
            raise OSError(f"the token cache {self._path} cannot be read back right after it was written")
        return fresh

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
        offsets = lists[0].offsets.to_numpy()
        if metadata.get(b"key") != self._key.encode() or len(offsets) != n_rows + 1:
            return None
        if any(len(array.values) != offsets[-1] for array in lists):
            return None
        if metadata.get(b"checksum") != _checksum(lists).encode():
            return None
        return [array.values.to_numpy() for array in lists], offsets


def _checksum(lists: Sequence[pa.LargeListArray]) -> str:
    """Cheap enough for every start (a few ms for 25,000 reviews) and catches a flipped byte or a page of zeros."""
    offsets = lists[0].offsets.to_numpy()
    sums = [int(array.sum(dtype=np.int64)) for array in (offsets, *(column.values.to_numpy() for column in lists))]
    return f"{' '.join(map(str, sums))} {offsets[-1]}"
