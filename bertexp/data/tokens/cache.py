"""Tokens on disk, kept between runs: a memory-mapped Arrow file for each column of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bertexp.data.arrow_file import growing_lists, write_arrow

Progress = Callable[[int], None]  # told how many texts were just done
Chunk = tuple[list[np.ndarray], np.ndarray]  # arrays of one value a token, and the tokens in each row


class TokenCache:
    """The file of the token cache for some texts.

    It has list columns of one <int32> a token, all of the same lengths, and is memory-mapped. It is known by texts, vocabulary
    and the tokenizer's options; a damaged one is made anew.

    Args:
        folder: of the cache; made if missing.
        fingerprint: of the data set.
        part: which of its texts, such as ``train/text``.
    """

    def __init__(self, folder: str | Path, fingerprint: str, part: str):
        self._folder, self._fingerprint, self._part = Path(folder), fingerprint, part

    def get(
        self,
        tokenizer: str,
        names: Sequence[str],
        n_rows: int,
        encode: Callable[[], Iterable[Chunk]],
        progress: Progress | None,
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Returns the columns ``names`` and the offsets of their rows <int64>[n_rows + 1].

        Args:
            tokenizer: its fingerprint.
            encode: makes what is not there.
            progress: called with the number of texts that were just tokenized or found.
        """
        key = f"{self._fingerprint} {self._part} {tokenizer}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = self._folder / f"{self._part.replace('/', '-')}-{digest}.arrow"
        cached = _read(path, key, names, n_rows)
        if cached is not None:
            if progress:
                progress(n_rows)
            return cached
        with growing_lists(self._folder, len(names)) as columns:
            for arrays, lengths in encode():
                for column, array in zip(columns, arrays, strict=True):
                    column.append(array, lengths)
            lists = [column.as_array() for column in columns]
            metadata = {"key": key, "checksum": _checksum(lists)}
            write_arrow(pa.table(lists, names=list(names)).replace_schema_metadata(metadata), path)
        fresh = _read(path, key, names, n_rows)
        if fresh is None:
            raise OSError(f"the token cache {path} cannot be read back right after it was written")
        return fresh


def _read(path: Path, key: str, names: Sequence[str], n_rows: int) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Maps the file; None where it is absent, of another key, or damaged."""
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            metadata = reader.schema.metadata or {}
            batch = reader.get_batch(0)
        lists = [batch.column(name) for name in names]
    except (OSError, pa.ArrowException, IndexError, KeyError):
        return None
    offsets = lists[0].offsets.to_numpy()
    if metadata.get(b"key") != key.encode() or len(offsets) != n_rows + 1:
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
