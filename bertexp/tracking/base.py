"""What a run tells a tracker, and the tracker that listens to nothing.

A tracker does not end a training that has begun to be recorded: a store that cannot be used is one ``TrackingError``, at
``start`` or, if it is opened later, at the metrics that follow; one that stops answering is warned about once, and what it
missed is kept and offered again until ``finish``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol

from bertexp.interfaces import RunState

if TYPE_CHECKING:
    import pyarrow as pa

ParamValue = str | int | float | bool | list | None
OnOpen = Callable[[str], None]


class Tracker(Protocol):
    """The record of one run, from ``start`` to ``finish``."""

    @property
    def run_id(self) -> str | None:
        """``None`` before ``start``, and if nothing is recorded; waits for a store that is being opened."""

    def start(self, params: Mapping[str, ParamValue], tags: Mapping[str, str], on_open: OnOpen | None = None) -> None:
        """Opens the run with its whole configuration (flat, dotted names) and its tags.

        If ``on_open`` is given, which is told the run's id, a thread may do that, at the first metrics.

        Raises:
            TrackingError: the store cannot be used, or the run to resume is not in it. If that shows only when a thread opens
                the store, the next ``log_metrics`` raises it.
        """

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Records metrics named ``split/name`` at an optimizer step; returns at once."""

    def log_dataset(self, name: str, split_tables: Mapping[str, pa.Table], fingerprint: str, source: str) -> None:
        """Records which data the run reads: one entry per split, with its rows and columns."""

    def log_dict(self, data: Mapping[str, Any] | Sequence[Any], file_name: str) -> None:
        """Keeps a JSON-able object under ``file_name`` (.json or .yaml)."""

    def log_figure(self, figure_path: str | PathLike[str], folder: str = "figures") -> None:
        """Keeps a picture that lies on disk."""

    def log_file(self, path: str | PathLike[str], folder: str = "") -> None:
        """Keeps a copy of a file."""

    def log_table(self, table: pa.Table | str | PathLike[str], file_name: str) -> None:
        """Keeps a table (or a parquet file's) as ``file_name`` (.json), to be read in the browser."""

    def log_model(
        self,
        folder: str | PathLike[str],
        loader_file: str | PathLike[str],
        pip_requirements: Sequence[str],
    ) -> None:
        """Keeps a SavedModel as the run's model; ``loader_file`` is the one module that reads it back."""

    def flush(self) -> None:
        """Hands over every metric logged so far, before returning."""

    def finish(self, state: RunState, reason: str = "") -> None:
        """Closes the run."""


class NoTracker:
    """Records nothing."""

    run_id: str | None = None

    def start(
        self, params: Mapping[str, ParamValue], tags: Mapping[str, str], on_open: OnOpen | None = None
    ) -> None: ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...

    def log_dataset(self, name: str, split_tables: Mapping[str, pa.Table], fingerprint: str, source: str) -> None: ...

    def log_dict(self, data: Mapping[str, Any] | Sequence[Any], file_name: str) -> None: ...

    def log_figure(self, figure_path: str | PathLike[str], folder: str = "figures") -> None: ...

    def log_file(self, path: str | PathLike[str], folder: str = "") -> None: ...

    def log_table(self, table: pa.Table | str | PathLike[str], file_name: str) -> None: ...

    def log_model(
        self,
        folder: str | PathLike[str],
        loader_file: str | PathLike[str],
        pip_requirements: Sequence[str],
    ) -> None: ...

    def flush(self) -> None: ...

    def finish(self, state: RunState, reason: str = "") -> None: ...
