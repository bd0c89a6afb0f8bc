"""What frozen layers give for every row of a split, on disk: computed once, read by every later epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bertexp.system.files import atomic_file

Features = dict[str, np.ndarray]


class Activations(NamedTuple):
    """The rows of one split, one after the other.

    Attributes:
        values: <float32>[sum of lengths, hidden], memory-mapped: a vector per position, or one per row.
        offsets: <int64>[rows + 1]; row ``i`` is ``values[offsets[i]:offsets[i + 1]]``. None: one vector per row.
    """

    values: np.ndarray
    offsets: np.ndarray | None

    @property
    def spec(self) -> dict[str, tf.TensorSpec]:
        """Dtypes and shapes of what ``pack`` gives."""
        hidden = self.values.shape[1]
        if self.offsets is None:
            return {"pooled": tf.TensorSpec([None, hidden], tf.float32)}
        states = tf.TensorSpec([None, None, hidden], tf.float32)
        return {"hidden_states": states, "input_mask": tf.TensorSpec([None, None], tf.int32)}

    def pack(self, rows: np.ndarray, width: int) -> Features:
        """Features of the given rows.

        Args:
            width: positions of the batch, at least those of its longest row.

        Returns:
            pooled <float32>[batch, hidden]; or hidden_states <float32>[batch, seq, hidden], zero beyond a row's end,
            and input_mask <int32>[batch, seq].
        """
        if self.offsets is None:
            return {"pooled": self.values[rows]}
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        lengths = ends - starts
        states = np.zeros((len(rows), width, self.values.shape[1]), np.float32)
        for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
            states[index, : end - start] = self.values[start:end]
        mask = np.arange(states.shape[1]) < lengths[:, None]
        return {"hidden_states": states, "input_mask": mask.astype(np.int32)}


class ActivationFolder:
    """The activations of past runs, least recently used ones first to go.

    Args:
        folder: of the files; made if missing.
        limit_bytes: of all files together.
    """

    def __init__(self, folder: Path, limit_bytes: int):
        self._folder, self._limit_bytes = folder, limit_bytes

    def find(self, name: str, offsets: np.ndarray | None, shape: tuple[int, int]) -> Activations | None:
        """The activations ``name`` <float32>[shape], or None where they are absent or damaged."""
        path = self._folder / f"{name}.npy"
        try:
            values = np.load(path, mmap_mode="r")
        except (OSError, ValueError):
            return None
        if values.shape != shape or values.dtype != np.float32:
            return None
        os.utime(path)  # used now
        return Activations(values, offsets)

    def write(
        self,
        name: str,
        offsets: np.ndarray | None,
        shape: tuple[int, int],
        batches: Iterable[tuple[np.ndarray, np.ndarray]],
    ) -> Activations:
        """Keeps ``batches`` under ``name``; the file is complete or absent.

        Args:
            offsets: as in ``Activations``.
            shape: of all values.
            batches: row numbers <int>[batch] and their vectors <float32>[batch, hidden] or [batch, seq, hidden].
        """
        self._make_room(4 * shape[0] * shape[1])
        path = self._folder / f"{name}.npy"
        with atomic_file(path, "wb") as file:
            values = np.lib.format.open_memmap(file.name, mode="w+", dtype=np.float32, shape=shape)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, os.path.getsize(file.name))  # else a full disk kills us at a page
            for rows, vectors in batches:
                if offsets is None:
                    values[rows] = vectors
                    continue
                for row, states in zip(rows, vectors, strict=True):
                    start, end = offsets[row], offsets[row + 1]
                    values[start:end] = states[: end - start]
            values.flush()
        return Activations(np.load(path, mmap_mode="r"), offsets)

    def _make_room(self, needed: int) -> None:
        """Removes files, the least recently used first, until ``needed`` more bytes fit; readers keep what they mapped."""
        files = sorted(self._folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
        kept = sum(path.stat().st_size for path in files)
        for path in files:
            if kept + needed <= self._limit_bytes:
                break
            kept -= path.stat().st_size
            path.unlink(missing_ok=True)
