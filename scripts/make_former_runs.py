"""Makes the runs and the sweep of a former commit that the tests go on with: tests/former/<commit>.tar.xz.

    git worktree add /tmp/former-code 8e6fea5
    python scripts/make_former_runs.py /tmp/former-code tests/former/8e6fea5.tar.xz

The former code writes, below one folder, with relative paths alone on its command lines:

    outputs/runs/classified   classification, stopped by SIGTERM after a checkpoint
    outputs/runs/scored       regression on rows.csv, stopped by SIGINT
    outputs/runs/done         classification, ended, with its export and its predictions
    outputs/sweeps/former     2 ended trials of 4, the third stopped in its second seed; two seeds, a pruner
    outputs/mlflow.db         the MLflow store of all of them, with outputs/mlartifacts
    sweep.txt                 the words of the sweep's command, a line each

A small vocabulary keeps the archive small. MLflow writes absolute paths into its store: the folder of the making becomes
``/former`` there, to be replaced by whoever unpacks the archive.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import string
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

LEFT_OUT = ("cache", "run.log", "figures", "mlartifacts")  # nothing that goes on reads them
STAND_IN = "/former"
ENCODER = ["model.num_layers=1", "model.hidden_size=16", "model.num_heads=2", "model.vocab_file=vocab.txt"]
LENGTH = ["dataset.max_length=32", "trainer.batch_size=8", "trainer.max_epochs=null", "trainer.keep_checkpoints=1"]
REVIEWS = ["dataset.limit_train=160", "dataset.limit_val=32", "dataset.limit_test=32"]
STOPPED = ["trainer.max_steps=600", "trainer.checkpoint_every_steps=100", "trainer.validate_every_steps=50"]
RUNS = {
    "classified": [*ENCODER, *LENGTH, *REVIEWS, *STOPPED],
    "scored": [*ENCODER, *LENGTH, *STOPPED, "dataset=files", "task=regression", "dataset.path=rows.csv",
               "dataset.label_column=score", "export.enabled=false"],
    "done": [*ENCODER, *LENGTH, *REVIEWS, "trainer.max_steps=40"],
}  # fmt: skip
SWEEP = ["sweep=lr_warmup", "sweep.name=former", "sweep.trials=4", "sweep.seeds=2", "sweep.pruner=median",
         "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))", *ENCODER, *LENGTH, *REVIEWS,
         "trainer.max_steps=300", "trainer.checkpoint_every_steps=50", "export.enabled=false"]  # fmt: skip


def main() -> None:
    """Runs the former code and packs what it wrote."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="of the former commit")
    parser.add_argument("archive", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="former-") as folder:
        place = Path(folder).resolve()
        write_inputs(place)
        run(given.checkout, place, "done")
        run(given.checkout, place, "classified", signal.SIGTERM)
        run(given.checkout, place, "scored", signal.SIGINT)
        stop_after(
            start(given.checkout, place, ["-m", *SWEEP]), place, "sweeps/former/trial-0002/seed-43", signal.SIGTERM
        )
        detach(place)
        given.archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(given.archive, "w:xz") as packed:
            for path in sorted(place.rglob("*")):
                if path.is_file() and not set(LEFT_OUT) & set(path.relative_to(place).parts):
                    packed.add(path, path.relative_to(place), filter=anonymous)
    print(f"{given.archive}: {given.archive.stat().st_size:,} bytes")


def write_inputs(place: Path) -> None:
    """A vocabulary of letters and common words, rows with a number each, and the sweep's words."""
    letters = string.ascii_lowercase + string.digits + "'-.,!?"
    words = ["the", "a", "film", "is", "was", "it", "of", "and", "this", "not", "very", "good", "bad"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *words]
    (place / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)) + "\n")
    chance = random.Random(1)
    rows = [f"the film is {'very ' * (row % 4)}good,{row % 4 + chance.random() / 10:.3f}" for row in range(160)]
    (place / "rows.csv").write_text("\n".join(["text,score", *rows]) + "\n")
    (place / "sweep.txt").write_text("\n".join(SWEEP) + "\n")


def run(checkout: Path, place: Path, name: str, stop: signal.Signals | None = None) -> None:
    """One run in ``outputs/runs/<name>``, to its end or to a signal after its first checkpoint."""
    process = start(checkout, place, [*RUNS[name], f"run.name={name}"])
    if stop is None:
        expect(process, 0)
    else:
        stop_after(process, place, "runs/*", stop)
    made = next(path for path in (place / "outputs/runs").iterdir() if path.name not in RUNS)
    made.rename(made.with_name(name))


def start(checkout: Path, place: Path, words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bertexp", *words],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(checkout.resolve()), "LOGNAME": "former"},
        text=True,
        stderr=subprocess.PIPE,
    )


def stop_after(process: subprocess.Popen[str], place: Path, run: str, stop: signal.Signals) -> None:
    """Sends ``stop`` once a running run of that folder has a checkpoint."""
    before = set((place / "outputs").glob(f"{run}/checkpoints/step-*/state.json"))
    while not set((place / "outputs").glob(f"{run}/checkpoints/step-*/state.json")) - before:
        if process.poll() is not None:
            raise SystemExit(f"it ended too early: {process.communicate()[1]}")
        time.sleep(0.01)
    process.send_signal(stop)
    expect(process, 128 + stop)


def expect(process: subprocess.Popen[str], status: int) -> None:
    errors = process.communicate()[1]
    if process.returncode != status:
        raise SystemExit(f"it ended with {process.returncode} instead of {status}: {errors}")


def detach(place: Path) -> None:
    """Puts ``/former`` in place of the folder in the store."""
    with sqlite3.connect(place / "outputs/mlflow.db") as store:
        tables = [name for (name,) in store.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for column in [row[1] for row in store.execute(f"pragma table_info({table})") if "CHAR" in row[2].upper()]:
                store.execute(f"update {table} set {column} = replace({column}, ?, ?)", (str(place), STAND_IN))
    with sqlite3.connect(place / "outputs/mlflow.db") as store:
        store.execute("vacuum")
    shutil.rmtree(place / "outputs/cache", ignore_errors=True)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
