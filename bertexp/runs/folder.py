"""Run folders: what lies where, how a run is written down and found again."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertexp.config.words import read, replace, value_of, without, write
from bertexp.errors import IS_EMPTY, RunNotFound
from bertexp.system.credentials import hide
from bertexp.system.files import read_numbered, write_text
from bertexp.tasks.registry import foreign_settings

FORMAT = 1  # of run.json
TRAINED = "trained"  # the stage of a sweep's trial that was not tested yet: resuming it tests and ships it
TESTED = "tested"  # the stage of a run that came to its end
BEST = "best.txt"  # in a sweep's folder: where, below it, the best trial's run lies
_writing = threading.Lock()


class RunFolder:
    """One run on disk: ``run.json`` says what it is and how it ended.

    Attributes:
        checkpoints: the folder of step checkpoints and the best weights.
        model_folder: the exported SavedModel.
        figures: the folder of PNG files.
        log_file: what the libraries say, and every line of ours.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path).resolve()
        self.checkpoints, self.model_folder = self.path / "checkpoints", self.path / "model"
        self.figures, self.log_file = self.path / "figures", self.path / "run.log"

    def predictions(self, split: str | None = None) -> Path:
        """What the model says of the labelled split that the run is judged on, or of another one that is named."""
        return self.path / (f"predictions-{split}.parquet" if split else "predictions.parquet")

    @property
    def shown(self) -> str:
        """The folder as a user would type it: relative where it lies below the working directory."""
        return os.path.relpath(self.path) if self.path.is_relative_to(Path.cwd()) else str(self.path)

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``run.json``; empty before the run has begun.

        Raises:
            FormatUnknown: a later bertexp wrote it.
        """
        try:
            return hide(read_numbered(self.path / "run.json", FORMAT))  # older ones may hold secrets
        except FileNotFoundError:
            return {}

    def update_info(self, **changes: Any) -> None:
        """Merges ``changes`` into ``run.json``; threads may call it."""
        with _writing:
            content = self.info | hide(changes) | {"format": FORMAT}
            write_text(self.path / "run.json", json.dumps(content, indent=2, sort_keys=True) + "\n")


def list_runs(outputs_dir: str) -> list[RunFolder]:
    """Every run under ``outputs_dir``, a sweep's trials among them, newest first."""
    patterns = ("runs/*", "sweeps/*/trial-*", "sweeps/*/trial-*/seed-*")
    runs = [RunFolder(path.parent) for pattern in patterns for path in Path(outputs_dir).glob(f"{pattern}/run.json")]
    return sorted(runs, key=lambda run: (run.info.get("started", ""), run.path.name), reverse=True)


def find_run(reference: str, outputs_dir: str = "outputs") -> RunFolder:
    """The run that ``reference`` names: ``last``, a run folder, or an MLflow run id (also its first 8 digits).

    A sweep's folder stands for its best trial; ``last`` takes of a sweep's trials only those that were tested.

    Raises:
        RunNotFound: there is none; the message says where was looked.
    """
    if not reference:
        raise RunNotFound(f"the name of a run {IS_EMPTY}")
    if reference != "last" and (Path(reference) / "run.json").exists():
        return RunFolder(reference)
    if reference != "last" and (Path(reference) / BEST).exists():
        return RunFolder(Path(reference) / (Path(reference) / BEST).read_text(encoding="utf-8").strip())
    runs = list_runs(outputs_dir)
    where = os.path.join(os.path.abspath(outputs_dir), "runs")
    if not runs:
        raise RunNotFound(f"{where} holds no run yet; start one with: python -m bertexp")
    if reference == "last":
        return next((run for run in runs if not _is_mere_trial(run)), runs[0])
    for run in runs:
        run_id = run.info.get("mlflow_run_id") or ""
        if reference in (run_id, run.path.name) or (len(reference) >= 8 and run_id.startswith(reference)):
            return run
    raise RunNotFound(
        f"no run is called {reference!r} in {where}; name a run id, a run folder, or last (which is {runs[0].path.name})"
    )


def _is_mere_trial(run: RunFolder) -> bool:
    return "sweeps" in (run.path.parents[1].name, run.path.parents[2].name) and run.info.get("stage") != TESTED


def with_former_overrides(overrides: Sequence[str]) -> list[str]:
    """With ``trainer.resume=RUN`` among them, puts that run's own overrides first and its folder as the run folder."""
    reference = value_of(overrides, "trainer.resume")
    if not reference:
        return list(overrides)
    run = find_run(str(reference), value_of(overrides, "run.outputs_dir") or "outputs")
    if "overrides" not in run.info:
        raise RunNotFound(f"the run in {run.path} ended before it had begun; start it anew without trainer.resume")
    return replace(recorded_words(run.info), [*overrides, write("hydra.run.dir", str(run.path))])


def recorded_words(info: Mapping[str, Any]) -> list[str]:
    """The words that make a recorded run, none if it had not begun to be recorded.

    Settings of other tasks are left out: once they were taken and had no effect, now they are refused. A run that knows
    nothing of model.strip_accents took accents off, whatever the files of its weights said.
    """
    words = own_words(info.get("overrides", []))
    parameters = info.get("parameters", {})
    task = parameters.get("task.name")
    if task is None:
        return words
    if parameters.get("model.source") in ("huggingface", "google") and "model.strip_accents" not in parameters:
        words.append("model.strip_accents=true")
    words = without(words, *foreign_settings(task))
    return [f"task={task}" if read(word).key == "task.name" else word for word in words]


def own_words(overrides: Sequence[str]) -> list[str]:
    """The words that make a run, without those that say which run is resumed and which folder it has."""
    return without(overrides, "trainer.resume", "hydra")
