"""Run folders: what lies where, how a run is written down and found again."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bertexp.errors import RunNotFound


def write_atomically(path: Path, text: str) -> None:
    """Writes ``text`` so that a reader sees the old file or the whole new one, also after a crash."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


class RunFolder:
    """One run on disk: ``run.json`` says what it is and how it ended."""

    def __init__(self, path: Path | str):
        self.path = Path(path).resolve()

    @property
    def checkpoints(self) -> Path:
        """Step checkpoints and the best weights."""
        return self.path / "checkpoints"

    @property
    def model_folder(self) -> Path:
        """The exported SavedModel."""
        return self.path / "model"

    @property
    def figures(self) -> Path:
        """PNG files."""
        return self.path / "figures"

    @property
    def log_file(self) -> Path:
        """What the libraries say, and every line of ours."""
        return self.path / "run.log"

    @property
    def shown(self) -> str:
        """The folder as a user would type it: relative where it lies below the working directory."""
        return os.path.relpath(self.path) if self.path.is_relative_to(Path.cwd()) else str(self.path)

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``run.json``; empty before the run has begun."""
        try:
            return json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def update_info(self, **changes: Any) -> None:
        """Merges ``changes`` into ``run.json``."""
        write_atomically(self.path / "run.json", json.dumps(self.info | changes, indent=2, sort_keys=True) + "\n")


def list_runs(outputs_dir: str) -> Iterator[RunFolder]:
    """Every run under ``outputs_dir``, newest first."""
    found = Path(outputs_dir, "runs").glob("*/run.json")
    for path in sorted(found, key=lambda p: p.parent.name, reverse=True):
        yield RunFolder(path.parent)


def find_run(reference: str, outputs_dir: str = "outputs") -> RunFolder:
    """The run that ``reference`` names: ``last``, a run folder, or an MLflow run id (also its first 8 digits).

    Raises:
        RunNotFound: there is none; the message says where was looked.
    """
    if reference != "last" and (Path(reference) / "run.json").exists():
        return RunFolder(reference)
    runs = list(list_runs(outputs_dir))
    where = os.path.join(os.path.abspath(outputs_dir), "runs")
    if not runs:
        raise RunNotFound(f"{where} holds no run yet; start one with: python -m bertexp")
    if reference == "last":
        return runs[0]
    for run in runs:
        run_id = run.info.get("mlflow_run_id") or ""
        if reference in (run_id, run.path.name) or (len(reference) >= 8 and run_id.startswith(reference)):
            return run
    raise RunNotFound(
        f"no run is called {reference!r} in {where}; name a run id, a run folder, or last (which is {runs[0].path.name})"
    )


def with_former_overrides(overrides: Sequence[str]) -> list[str]:
    """With ``trainer.resume=RUN`` among them, puts that run's own overrides first and its folder as the run folder."""
    given = dict(word.partition("=")[::2] for word in overrides)
    reference = given.get("trainer.resume", "null").strip("'\"")
    if reference in ("", "null"):
        return list(overrides)
    run = find_run(reference, given.get("run.outputs_dir", "outputs"))
    former = [word for word in run.info["overrides"] if not word.startswith(("trainer.resume=", "hydra.run.dir="))]
    folder = str(run.path).replace("'", "\\'")
    return [*former, *overrides, f"hydra.run.dir='{folder}'"]
