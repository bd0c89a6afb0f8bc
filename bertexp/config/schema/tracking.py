"""The settings of tracking."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, setting


@dataclass
class TrackingConfig(Settings, group="tracking"):
    """Where parameters, metrics, figures and the model are recorded."""

    name: str = setting("mlflow", "the tracker", choices=("mlflow", "none"))
    uri: str | None = setting(None, "address of the store; null: sqlite under run.outputs_dir, as an absolute address")
    experiment: str = setting("bertexp", "the MLflow experiment that the run belongs to")
    log_model: bool = setting(True, "record the exported model too")
