"""One empty MLflow store, created once and copied: its 60 migrations take seconds."""

import shutil
from pathlib import Path

import pytest

from bertexp.tracking.mlflow.tracker import MlflowTracker


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bertexp.tracking.mlflow.store import open_store, resolve_uri

    outputs = tmp_path_factory.mktemp("template")
    open_store(resolve_uri(None, outputs))
    return outputs / "mlflow.db"


@pytest.fixture
def outputs(tmp_path: Path, empty_store: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def tracker(outputs: Path) -> MlflowTracker:
    tracker = MlflowTracker(None, "tests", "a run", outputs)
    tracker.start({"optimizer.learning_rate": 3e-5, "model.path": None}, {"user": "ann"})
    return tracker
