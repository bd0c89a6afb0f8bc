"""What a run tells a tracker; a base that listens to nothing, and the tracker that a run's settings ask for.

A tracker does not end a training that has begun to be recorded: a store that cannot be used is one ``TrackingError``, at
``start`` or, if it is opened later, at the metrics that follow; one that stops answering is warned about once, and what it
missed is kept and offered again until ``finish``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.config.schema import TrackingConfig
from bertexp.interfaces import RunState

if TYPE_CHECKING:
    import pyarrow as pa

ParamValue = str | int | float | bool | list | None
OnOpen = Callable[[str], None]


class Tracker:
    """The record of one run, from ``start`` to ``finish``; this one records nothing."""

    @property
    def run_id(self) -> str | None:
        """``None`` before ``start``, and if nothing is recorded; waits for a store that is being opened."""
        return None

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

    def log_dict(self, data: Mapping[str, Any], file_name: str) -> None:
        """Keeps a JSON-able object under ``file_name`` (.json or .yaml)."""

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keeps a copy of a file, in a folder of the record's."""

    def log_table(self, path: Path, file_name: str) -> None:
        """Keeps the table of a parquet file as ``file_name`` (.json), to be read in the browser."""

    def log_model(self, folder: Path, loader_file: Path, pip_requirements: Sequence[str]) -> None:
        """Keeps a SavedModel as the run's model; ``loader_file`` is the one module that reads it back."""

    def flush(self) -> None:
        """Hands over every metric logged so far, before returning."""

    def finish(self, state: RunState, reason: str = "") -> None:
        """Closes the run."""


def build_tracker(
    config: TrackingConfig, run_name: str, outputs_dir: str | PathLike[str], resume_run_id: str | None = None
) -> Tracker:
    """Makes the tracker that ``tracking.name`` asks for; the store is opened by its ``start``."""
    if config.name == "none":
        return Tracker()
    from bertexp.tracking.mlflow.tracker import MlflowTracker

    return MlflowTracker(config.uri, config.experiment, run_name, outputs_dir, resume_run_id)
