"""A run in MLflow's words: experiment, parameters, tags, and our SavedModel as a model that needs no bertexp to load."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.errors import TrackingError
from bertexp.tracking.base import ParamValue
from bertexp.tracking.mlflow.store import artifacts_folder
from bertexp.tracking.outbox import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models.signature import ModelSignature

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
    """Sets a run going again, without the tags of its former end; returns it and the points (metric, step) that it has.

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
    for tag in {"state", "reason"} & run.data.tags.keys():
        client.delete_tag(run_id, tag)
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


def create_model(
    client: MlflowClient, run_id: str, folder: Path, loader_file: Path, pip_requirements: Sequence[str], scratch: Path
) -> str:
    """Makes the run's logged model, named ``model``: MLmodel, requirements, ``data/`` and ``code/``; returns its id.

    Does what ``Model.log`` does, without its active run and its detour over the global address.

    Args:
        folder: the SavedModel, with its bertexp.json.
        loader_file: the one module that reads it back, with ``_load_pyfunc(path)``.
        pip_requirements: taken as given: MLflow would else find them out in a subprocess that imports TensorFlow.
        scratch: an empty folder where the model is put together; it may not fit into /tmp.
    """
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.models import Model

    about = json.loads((folder / "bertexp.json").read_text(encoding="utf-8"))
    run = client.get_run(run_id)
    logged = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, params=run.data.params, model_type="bertexp"
    )
    try:
        mlflow.pyfunc.save_model(
            path=str(scratch / "model"),
            mlflow_model=Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id),
            loader_module=loader_file.stem,
            code_paths=[str(loader_file)],
            data_path=str(folder),
            pip_requirements=list(pip_requirements),
            signature=make_signature(about),
            input_example=pd.DataFrame([about["example"]]),
        )
        client.log_model_artifacts(logged.model_id, str(scratch / "model"))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    return logged.model_id


def add_results(
    client: MlflowClient, run_id: str, model_id: str, points: Sequence[Point], datasets: Mapping[str, tuple[str, str]]
) -> None:
    """Says of metric points of the run that they are the model's.

    Args:
        datasets: name and digest of the data by split, for the metrics measured on it.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=max((point.step for point in points), default=0))])
    data = [datasets.get(point.key.split("/")[0], (None, None)) for point in points]
    # the points once more (MLflow keeps one of each), now with model and data
    client.log_batch(run_id, metrics=[Metric(*point, model_id, *of) for point, of in zip(points, data, strict=True)])


def make_signature(about: Mapping[str, Any]) -> ModelSignature:
    """One string per input column in; out come the columns of the answer that ``bertexp.json`` describes.

    Named inputs, for then MLflow's server takes texts as ``instances`` (strings, ``{"text": "a"}``, ``{"text": ["a"]}``),
    ``inputs``, ``dataframe_split`` and ``dataframe_records``; in Python a table or a list of such dicts is given.
    """
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, Schema

    outputs: dict[str, str] = {}
    for column in about["answer"]:
        by_class = column["kind"] == "by_class"
        names = [f"p_{name}" for name in about["label_names"]] if by_class else [column["name"]]
        outputs |= dict.fromkeys(names, column["type"])
    return ModelSignature(
        inputs=Schema([ColSpec("string", name) for name in about["inputs"]]),
        outputs=Schema([ColSpec(kind, name) for name, kind in outputs.items()]),
    )


def _as_text(value: ParamValue) -> str:
    """Writes a value the way it is given on the command line, cut if MLflow would refuse it."""
    if isinstance(value, (list, tuple)):
        text = f"[{','.join(map(_as_text, value))}]"
    else:
        text = json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    note = f" … [cut at {PARAM_LENGTH} characters]"
    return text if len(text) <= PARAM_LENGTH else text[: PARAM_LENGTH - len(note)] + note
