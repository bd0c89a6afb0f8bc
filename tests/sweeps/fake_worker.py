"""A worker whose trials train nothing: each step is a line in the trial's file, and the value follows from the point.

Usage: python fake_worker.py FOLDER TRIALS STEPS [STORAGE]
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from optuna import Trial

from bertexp.sweeps.start import name_sweep
from bertexp.sweeps.work.study import Outcome, SweepStudy
from bertexp.sweeps.work.worker import pull_trials

STEP_SECONDS = 0.02


def main(folder: Path, trials: int, steps: int, *storage: str) -> None:
    words = ["sweep=lr_warmup", f"sweep.trials={trials}", "sweep.pruner=none", "sweep.name=killed"]
    sweep = name_sweep([*words, *(f"sweep.storage='{url}'" for url in storage)])
    study = SweepStudy(folder, sweep.config.sweep, sweep.spec)

    def run_trial(trial: Trial) -> Outcome:
        file = folder / f"trial-{trial.number:04d}.txt"
        done = len(file.read_text().splitlines()) if file.exists() else 0
        for step in range(done, steps):
            time.sleep(STEP_SECONDS)
            with file.open("a") as stream:
                stream.write(f"{step} {os.getpid()}\n")
        value = 1.0 - abs(trial.params["optimizer.learning_rate"] - 1e-4)
        study.note(trial, "steps", [steps, steps])
        return Outcome("completed", (value,))

    pull_trials(study, run_trial)
    with study.finishing() as mine:
        if mine:
            with (folder / "finished.txt").open("a") as stream:
                stream.write(f"{study.ended}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
