"""Our SavedModel as an MLflow model: a folder that ``mlflow.pyfunc.load_model`` reads without bertexp installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.tracking.outbox import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.signature import ModelSignature


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
    metrics = []  # the points once more (MLflow keeps one of each), now with model and data
    for point in points:
        data = datasets.get(point.key.split("/")[0], (None, None))
        metrics.append(Metric(point.key, point.value, point.timestamp_ms, point.step, model_id, *data))
    client.log_batch(run_id, metrics=metrics)
