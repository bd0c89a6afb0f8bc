"""The beginning of a run in an MLflow store: made or reopened, with its parameters and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.errors import TrackingError
from bertexp.tracking.base import ParamValue
from bertexp.tracking.mlflow.store import artifacts_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PER_CALL = 100  # parameters, MLflow's limit
PARAM_LENGTH = 6000  # another one
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI shows training pages, not chat traces
SYSTEM_TAGS = {
    "user": "mlflow.user",
    "command": "mlflow.source.name",
    "git.commit": "mlflow.source.git.commit",
    "description": "mlflow.note.content",
    "parent_run_id": "mlflow.parentRunId",
}


def find_experiment(client: MlflowClient, uri: str, name: str, outputs_dir: Path) -> str:
    """The id of the experiment ``name``, which is made if this run is its first.

    Raises:
        TrackingError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # a server knows where its artifacts go; a database or a folder is told
        artifacts = None if uri.startswith(("http", "databricks")) else artifacts_folder(outputs_dir).as_uri()
        try:
            return client.create_experiment(name, artifacts, EXPERIMENT_TAGS)
        except MlflowException:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:  # if not, another run was first
                raise
    if experiment.lifecycle_stage == "deleted":
        raise TrackingError(
            f"tracking.experiment={name} was deleted in {uri}; give another name, or "
            f"bring it back with: mlflow experiments restore --experiment-id {experiment.experiment_id}"
        )
    return experiment.experiment_id


def reopen_run(client: MlflowClient, uri: str, run_id: str) -> tuple[Run, set[tuple[str, int]]]:
    """Sets a run going again; returns it and the points (metric, step) that it has.

    Raises:
        TrackingError: it is not there, or was deleted.
    """
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise TrackingError(
            f"the run to resume, {run_id}, is not in {uri}; name the store it lies in with tracking.uri"
        ) from error
    if run.info.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the run to resume was deleted in {uri}; bring it back with: mlflow runs restore --run-id {run_id}"
        )
    client.update_run(run_id, status="RUNNING")
    return run, {(key, point.step) for key in run.data.metrics for point in client.get_metric_history(run_id, key)}


def log_params(client: MlflowClient, run: Run, params: Mapping[str, ParamValue]) -> dict[str, str]:
    """Parameters cannot be changed in MLflow: what a resumed run does otherwise is returned, as tags to be set."""
    from mlflow.entities import Param

    texts = {key: _as_text(value) for key, value in params.items()}
    new = [Param(key, text) for key, text in texts.items() if key not in run.data.params]
    for begin in range(0, len(new), PER_CALL):
        client.log_batch(run.info.run_id, params=new[begin : begin + PER_CALL])
    return {f"resumed.{key}": text for key, text in texts.items() if run.data.params.get(key, text) != text}


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags, those that MLflow has a name of its own for under that name."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(SYSTEM_TAGS.get(key, key), str(value)) for key, value in tags.items()])


def _as_text(value: ParamValue) -> str:
    """Writes a value the way it is given on the command line, cut if MLflow would refuse it."""
    if isinstance(value, (list, tuple)):
        text = f"[{','.join(map(_as_text, value))}]"
    else:
        text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    note = f" … [cut at {PARAM_LENGTH} characters]"
    return text if len(text) <= PARAM_LENGTH else text[: PARAM_LENGTH - len(note)] + note
