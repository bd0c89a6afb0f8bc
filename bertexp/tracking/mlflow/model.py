"""Our SavedModel as an MLflow model: a folder that ``mlflow.pyfunc.load_model`` reads without bertexp installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertexp.system.files import scratch_folder
from bertexp.tracking.outbox import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import Model
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


@dataclass(frozen=True)
class SavedModelFiles:
    """What a logged model is made of."""

    folder: Path  # the SavedModel, with its bertexp.json
    loader_file: Path  # the one module that reads it back, with `_load_pyfunc(path)`
    pip_requirements: tuple[str, ...]


def create_model(
    client: MlflowClient,
    run_id: str,
    files: SavedModelFiles,
    results: Sequence[Point],
    datasets: Mapping[str, tuple[str, str]],
    scratch_dir: Path,
) -> None:
    """Makes the run's logged model, named ``model``.

    Does what ``Model.log`` does, without its active run and its detour over the global address.

    Args:
        results: metric points of the run that are this model's.
        datasets: name and digest of the data by split, for the metrics measured on it.
        scratch_dir: where the model is put together; it may not fit into /tmp.
    """
    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.models import Model

    run = client.get_run(run_id)
    logged = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, params=run.data.params, model_type="bertexp"
    )
    description = Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id)
    try:
        with scratch_folder(scratch_dir) as scratch:
            _write_model(scratch / "model", description, files)
            client.log_model_artifacts(logged.model_id, str(scratch / "model"))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    step = max((point.step for point in results), default=0)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=step)])
    # the run's own points once more (MLflow keeps one of each), now said to be the model's, on that data
    metrics = [
        Metric(
            p.key, p.value, p.timestamp_ms, p.step, logged.model_id, *datasets.get(p.key.split("/")[0], (None, None))
        )
        for p in results
    ]
    client.log_batch(run_id, metrics=metrics)


def _write_model(target: Path, model: Model, files: SavedModelFiles) -> None:
    """Writes ``target``: MLmodel, requirements, ``data/`` (the SavedModel) and ``code/`` (the loader).

    The requirements are taken as given: MLflow would else find them out in a subprocess that imports TensorFlow.
    """
    import mlflow.pyfunc
    import pandas as pd

    about = json.loads((files.folder / "bertexp.json").read_text(encoding="utf-8"))
    mlflow.pyfunc.save_model(
        path=str(target),
        mlflow_model=model,
        loader_module=files.loader_file.stem,
        code_paths=[str(files.loader_file)],
        data_path=str(files.folder),
        pip_requirements=list(files.pip_requirements),
        signature=make_signature(about),
        input_example=pd.DataFrame([about["example"]]),
    )
