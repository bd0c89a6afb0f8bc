"""Our SavedModel as an MLflow model: a folder that ``mlflow.pyfunc.load_model`` reads without bertexp installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mlflow.pyfunc
from mlflow.models import Model
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import Array, DataType

EXAMPLES = {"text": "a quiet film that stays with you", "text_pair": "the film is quiet and hard to forget"}


def make_signature(input_columns: Sequence[str]) -> ModelSignature:
    """One string per input column in; the label, its probability and the probabilities of all classes out."""
    return ModelSignature(
        inputs=Schema([ColSpec("string", name) for name in input_columns]),
        outputs=Schema(
            [
                ColSpec("string", "label"),
                ColSpec("double", "probability"),
                ColSpec(Array(DataType.double), "probabilities"),
            ]
        ),
    )


def write_model(
    target: Path,
    model: Model,
    saved_model: Path,
    loader_file: Path,
    input_columns: Sequence[str],
    pip_requirements: Sequence[str],
) -> None:
    """Writes ``target``: MLmodel, requirements, ``data/`` (the SavedModel) and ``code/`` (its loader).

    The requirements are taken as given: MLflow would else find them out in a subprocess that imports TensorFlow.
    """
    import pandas as pd

    mlflow.pyfunc.save_model(
        path=str(target),
        mlflow_model=model,
        loader_module=loader_file.stem,
        code_paths=[str(loader_file)],
        data_path=str(saved_model),
        pip_requirements=list(pip_requirements),
        signature=make_signature(input_columns),
        input_example=pd.DataFrame([{name: EXAMPLES[name] for name in input_columns}]),
    )
