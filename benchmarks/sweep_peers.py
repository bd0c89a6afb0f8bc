"""The same twelve trials, three ways: bertexp's sweep, the hydra-optuna-sweeper plugin, and plain Optuna with a process a trial.

Usage: python benchmarks/sweep_peers.py [WORK_FOLDER]

The plugin needs a Python environment of its own, since its current release pins Optuna below 3 and its candidate needs
Hydra's: they are installed into WORK_FOLDER/peer at the first run. All three train the same model on the same
rows with the same seeds; none tracks or exports.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
RATES = [1e-4 * 1.4**index for index in range(12)]
SHARED = ["model=tiny", "dataset=reviews", "dataset.limit_train=640", "dataset.limit_val=200", "dataset.limit_test=32",
          "trainer.max_epochs=2", "tracking=none", "export.enabled=false"]  # fmt: skip
LIST = ",".join(f"{rate:.3g}" for rate in RATES)


def main() -> None:
    work = Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "outputs/benchmarks/sweep_peers").resolve()
    for folder in ("ours", "plugin", "plain"):
        shutil.rmtree(work / folder, ignore_errors=True)
    rows = [("bertexp -m", ours(work / "ours")), ("plugin", plugin(work)), ("plain Optuna", plain(work / "plain"))]
    base = rows[0][1][0]
    print(f"\n{'way':<14}{'seconds':>9}{'ratio':>7}  best val/accuracy  trials")
    for name, (seconds, values) in rows:
        print(f"{name:<14}{seconds:>9.0f}{seconds / base:>7.1f}  {max(values):>17.4f}  {len(values)}")


def ours(folder: Path) -> tuple[float, list[float]]:
    """One command, one warm process."""
    seconds = timed(["-m", "bertexp", "-m", *SHARED, f"run.outputs_dir={folder}", "sweep.export=none",
                     f"optimizer.learning_rate={LIST}"])  # fmt: skip
    infos = [json.loads(path.read_text()) for path in folder.glob("sweeps/*/trial-*/run.json")]
    return seconds, [info["objectives"]["val/accuracy"] for info in infos]


def plugin(work: Path) -> tuple[float, list[float]]:
    """Hydra's own Optuna plugin, over a job function that does what a run does."""
    peer = work / "peer"
    if not peer.exists():
        packages = ["hydra-core==1.4.0rc3", "omegaconf==2.4.1rc1", "hydra-optuna-sweeper==1.4.0rc3"]
        subprocess.run(
            [
                sys.executable,
                "-m",
                "uv",
                "pip",
                "install",
                "-q",
                "--prerelease=allow",
                "--no-deps",
                "--target",
                str(peer),
                *packages,
            ],
            check=True,
        )
    seconds = timed(
        [str(HERE / "peers/hydra_optuna.py"), "-m", *SHARED, f"run.outputs_dir={work / 'plugin'}", "hydra/sweeper=optuna",
         "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=12", "hydra.sweeper.direction=maximize",
         f"hydra.sweep.dir={work / 'plugin'}", f"optimizer.learning_rate={LIST}"],
        PYTHONPATH=f"{peer}{os.pathsep}{REPOSITORY}",
    )  # fmt: skip
    return seconds, read_runs(work / "plugin")


def plain(folder: Path) -> tuple[float, list[float]]:
    """``study.optimize`` whose objective starts a run as a process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_categorical("optimizer.learning_rate", [f"{rate:.3g}" for rate in RATES])
        place = folder / f"runs/{trial.number}"
        timed(
            [
                "-m",
                "bertexp",
                *SHARED,
                f"run.outputs_dir={folder}",
                f"hydra.run.dir={place}",
                f"optimizer.learning_rate={rate}",
            ]
        )
        return json.loads((place / "run.json").read_text())["metrics"]["val/accuracy"]

    started = time.monotonic()
    space = {"optimizer.learning_rate": [f"{rate:.3g}" for rate in RATES]}
    optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(space)).optimize(
        objective, n_trials=12
    )
    return time.monotonic() - started, read_runs(folder)


def read_runs(folder: Path) -> list[float]:
    infos = [json.loads(path.read_text()) for path in folder.rglob("run.json")]
    return [info["metrics"]["val/accuracy"] for info in infos]


def timed(words: list[str], **environment: str) -> float:
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True, text=True,
    )  # fmt: skip
    if ended.returncode:
        sys.exit(f"{' '.join(words[:3])} ended with {ended.returncode}:\n{ended.stdout[-800:]}\n{ended.stderr[-2000:]}")
    return time.monotonic() - started


if __name__ == "__main__":
    main()
