"""Is what bertexp trains as good as what Hugging Face's Trainer trains? Same weights, rows, budget and rules; several seeds.

Usage: python benchmarks/parity.py --weights weights/all-MiniLM-L6-v2 --glue glue --imdb aclImdb_v1.tar.gz [--seeds 3]

Prints the table of docs/parity.md. The peer runs in an environment of its own, --peer-python, made with uv from
peers/requirements-huggingface.txt where it is not given.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bertexp.config.resolve import compose_config
from bertexp.plan import make_plan

HERE = Path(__file__).resolve().parent
RULES = ["model=minilm_l6", "model.pooling=pooler", "task.binary_head=softmax", "optimizer.epsilon=1e-8",
         "optimizer.warmup_form=continuous", "optimizer.learning_rate=5e-5", "trainer.restore_best=false",
         "trainer.validate_every_epochs=99", "tracking=none", "export.enabled=false"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="a Hugging Face folder")
    parser.add_argument("--glue", required=True, help="the folder that holds SST-2 and MRPC")
    parser.add_argument("--imdb", required=True, help="aclImdb_v1.tar.gz or its folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=HERE.parent / "outputs/benchmarks/parity")
    parser.add_argument("--peer-python")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    peer = arguments.peer_python or make_peer(work / "peer")
    sets = {
        "SST-2, 8,000 rows, 1 epoch": (1, ["dataset=sst2", f"dataset.path={arguments.glue}/SST-2",
                                          "dataset.val_fraction=0", "dataset.limit_train=8000"]),
        "MRPC, 3 epochs": (3, ["dataset=mrpc", f"dataset.path={arguments.glue}/MRPC", "dataset.val_fraction=0"]),
        "IMDB, 2,000 rows, 2 epochs": (2, ["dataset=imdb", f"dataset.path={arguments.imdb}", "dataset.limit_train=2000",
                                          "dataset.limit_val=100", "dataset.limit_test=2000"]),
    }  # fmt: skip
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {datetime.date.today()}\n")
    print("| data | test rows | bertexp | Hugging Face | difference (95% interval) |\n|---|---|---|---|---|")
    for index, (name, (epochs, words)) in enumerate(sets.items()):
        folder = work / str(index)
        labels = write_rows([*words, *RULES, f"model.path={arguments.weights}"], folder)
        ours, theirs = [], []
        for seed in range(1, arguments.seeds + 1):
            overrides = [*words, *RULES, f"model.path={arguments.weights}", f"trainer.max_epochs={epochs}"]
            ours.append(train_ours(overrides, folder / f"ours-{seed}", seed) == labels)
            theirs.append(train_peer(peer, arguments.weights, folder, seed, epochs) == labels)
        print(f"| {name} | {len(labels):,} | {describe(np.array(ours), np.array(theirs))} |", flush=True)


def write_rows(words: list[str], folder: Path) -> np.ndarray:
    """Writes the splits that bertexp makes of the data; returns the test labels <int>[rows]."""
    folder.mkdir(parents=True, exist_ok=True)
    config, _ = compose_config(words)
    dataset = make_plan(config).dataset.load()
    for split, table in dataset.splits.items():
        pq.write_table(table, folder / f"{split}.parquet")
    return dataset.splits["test"]["label"].to_numpy()


def train_ours(words: list[str], folder: Path, seed: int) -> np.ndarray:
    """Returns the predicted classes <int>[rows] of the test split."""
    if not (folder / "predictions.parquet").exists():
        command = [sys.executable, "-m", "bertexp", *words, f"run.seed={seed}", f"hydra.run.dir={folder}"]
        subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
    table = pq.read_table(folder / "predictions.parquet")
    names = [name for name in table.column_names if name.startswith("p_")]
    return np.stack([table[name].to_numpy() for name in names], axis=1).argmax(axis=1)


def train_peer(python: str, weights: str, folder: Path, seed: int, epochs: int) -> np.ndarray:
    """The same of the peer."""
    out = folder / f"huggingface-{seed}.parquet"
    if not out.exists():
        paths = [str(folder / "train.parquet"), str(folder / "test.parquet"), str(out)]
        command = [python, str(HERE / "peers/huggingface.py"), weights, *paths, str(seed), str(epochs)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return pq.read_table(out)["predicted"].to_numpy()


def describe(ours: np.ndarray, theirs: np.ndarray, resamples: int = 2000) -> str:
    """Cells of a row, from hits <bool>[seeds, rows]: means over seeds, their difference, a bootstrap over test rows."""
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    draws = np.random.default_rng(0).integers(0, len(difference), (resamples, len(difference)))
    low, high = np.percentile(difference[draws].mean(axis=1), (2.5, 97.5))
    cells = [f"{hits.mean():.4f} ({', '.join(f'{seed:.3f}' for seed in hits.mean(axis=1))})" for hits in (ours, theirs)]
    return " | ".join([*cells, f"{difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"])


def make_peer(folder: Path) -> str:
    """Makes the peer's environment; returns its Python."""
    python = folder / "bin/python"
    if not python.exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
        requirements = str(HERE / "peers/requirements-huggingface.txt")
        subprocess.run([*uv, "pip", "install", "--python", str(python), "-r", requirements], check=True)
    return str(python)


if __name__ == "__main__":
    main()
