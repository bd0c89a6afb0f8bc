"""Checkpoints that are complete or absent, and what they say of the loop."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf

from bertexp.errors import RunNotFound
from bertexp.system.files import atomic_folder, read_numbered

FORMAT = 1  # of a checkpoint: the names of its variables and its state.json


@dataclass
class LoopState:
    """Where the loop stands; with weights and optimizer it is all that an exact continuation needs.

    Batch order is a function of (seed, epoch) and dropout of (seed, batches_seen), so neither has a state of its own.
    """

    step: int = 0  # optimizer steps done
    epoch: int = 0  # the epoch under way, counted from 0
    batch: int = 0  # batches of that epoch done
    batches_seen: int = 0  # batches of all epochs done
    validated_step: int = -1
    best_score: float | None = None
    best_loss: float = math.inf  # of that validation; of equal scores the lower loss is the better
    best_step: int = -1
    validations_without_improvement: int = 0
    epoch_sums: list[float] = field(default_factory=lambda: [0.0] * 6)  # TrainStep's statistics, of the epoch so far
    interval_sums: list[float] = field(default_factory=lambda: [0.0] * 6)  # the same since the last logged step
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)  # (step, metrics) as logged

    def chosen_metrics(self) -> dict[str, float]:
        """The last of each training metric and the best validation's ``val/…``."""
        last = {name: value for _, entry in self.history for name, value in entry.items() if name.startswith("train/")}
        best = (entry for step, entry in self.history if step == self.best_step and "val/loss" in entry)
        return last | next(best, {})


class CheckpointStore:
    """The checkpoints of one run.

    ``step-<n>/`` holds weights, optimizer and loop state, the newest ``keep`` of them; ``best-<n>/`` holds the weights of
    the best validation. Each is complete or absent. A former best is removed only with
    the next step checkpoint, so that whatever a checkpoint calls the best is still there when a run goes on from it.
    """

    def __init__(self, folder: Path, keep: int):
        self.folder, self._keep = Path(folder), keep

    def save(self, checkpoint: tf.train.Checkpoint, state: LoopState) -> Path:
        """Writes ``step-<state.step>``, then removes the oldest ones beyond ``keep`` and former bests."""
        path = self._write(f"step-{state.step:08d}", checkpoint, dataclasses.asdict(state))
        stale = self._complete("step-")[: -self._keep]
        stale += [best for best in self._complete("best-") if best != self.best(state.best_step)]
        for old in stale:
            remove_checkpoints(old)
        return path

    def save_best(self, weights: tf.train.Checkpoint, step: int, score: float) -> Path:
        """Writes ``best-<step>``."""
        return self._write(f"best-{step:08d}", weights, {"step": step, "score": score})

    def latest(self) -> Path | None:
        """The newest complete checkpoint, or ``None``."""
        return next(reversed(self._complete("step-")), None)

    def best(self, step: int) -> Path:
        """Where the weights of the best validation lie, which was at ``step``."""
        return self.folder / f"best-{step:08d}"

    def _complete(self, prefix: str) -> list[Path]:
        return sorted(p for p in self.folder.glob(f"{prefix}*") if (p / "state.json").exists())

    def _write(self, name: str, checkpoint: tf.train.Checkpoint, state: dict) -> Path:
        with atomic_folder(self.folder / name, replace=True) as folder:
            checkpoint.write(str(folder / "checkpoint"))
            (folder / "state.json").write_text(json.dumps(state | {"format": FORMAT}))
        return self.folder / name


def remove_checkpoints(folder: Path) -> None:
    """Removes a checkpoint, or a folder of them; what says of one that it is complete goes first, for a kill may come."""
    for state in folder.rglob("state.json"):
        state.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def read_state(path: Path) -> LoopState:
    """The loop state that ``path`` (a ``step-<n>`` folder) holds.

    Raises:
        RunNotFound: there is no complete checkpoint at ``path``.
        FormatUnknown: a later bertexp wrote it.
    """
    try:
        values = read_numbered(Path(path) / "state.json", FORMAT)
    except FileNotFoundError:
        raise RunNotFound(f"{path} holds no complete checkpoint; start the run anew without trainer.resume") from None
    del values["format"]
    values["history"] = [(step, metrics) for step, metrics in values["history"]]
    return LoopState(**values)


def restore(checkpoint: tf.train.Checkpoint, path: Path) -> None:
    """Loads the variables of ``path`` into ``checkpoint``'s objects.

    Raises:
        RunNotFound: not all of them are there.
    """
    try:
        checkpoint.read(str(Path(path) / "checkpoint")).assert_existing_objects_matched().expect_partial()
    except AssertionError as error:
        raise RunNotFound(
            f"{path} was written by another version of bertexp; start the run anew without trainer.resume"
        ) from error
