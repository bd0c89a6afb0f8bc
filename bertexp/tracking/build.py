"""The tracker that a run's settings ask for."""

from __future__ import annotations

from os import PathLike

from bertexp.config.schema import TrackingConfig
from bertexp.tracking.base import NoTracker, Tracker


def build_tracker(
    config: TrackingConfig, run_name: str, outputs_dir: str | PathLike[str], resume_run_id: str | None = None
) -> Tracker:
    """Makes the tracker that ``tracking.name`` asks for; the store is opened by its ``start``."""
    if config.name == "none":
        return NoTracker()
    from bertexp.tracking.mlflow.tracker import MlflowTracker

    return MlflowTracker(config.uri, config.experiment, run_name, outputs_dir, resume_run_id)
