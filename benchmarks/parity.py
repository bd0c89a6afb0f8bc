"""Is what bertexp trains as good as what Hugging Face and Model Garden train? Same weights, rows, budget, rules; several seeds.

Usage: python benchmarks/parity.py --weights weights/all-MiniLM-L6-v2 --glue glue --imdb aclImdb_v1.tar.gz [--seeds 3]

Prints the table of docs/parity.md. Each peer runs in an environment of its own, made from peers/requirements-*.txt where none is
given. What is in the work folder already is not trained again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from bench import make_environment

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
    parser.add_argument("--huggingface-python")
    parser.add_argument("--tensorflow-python")
    parser.add_argument("--peers", default="huggingface,model_garden")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    pythons = {
        "huggingface": arguments.huggingface_python or make_environment("huggingface", work),
        "model_garden": arguments.tensorflow_python or make_environment("tensorflow", work),
    }
    weights = {
        "huggingface": arguments.weights,
        "model_garden": str(write_encoder(arguments.weights, work / "encoder")),
    }
    peers = arguments.peers.split(",")
    sets = {
        "SST-2, 8,000 rows, 1 epoch": (1, ["dataset=sst2", f"dataset.path={arguments.glue}/SST-2",
                                          "dataset.val_fraction=0", "dataset.limit_train=8000"]),
        "MRPC, 3 epochs": (3, ["dataset=mrpc", f"dataset.path={arguments.glue}/MRPC", "dataset.val_fraction=0"]),
        "IMDB, 2,000 rows, 2 epochs": (2, ["dataset=imdb", f"dataset.path={arguments.imdb}", "dataset.limit_train=2000",
                                          "dataset.limit_val=100", "dataset.limit_test=2000"]),
    }  # fmt: skip
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {datetime.date.today()}\n")
    print("| data | test rows | bertexp | peer | | difference (95% interval) |\n|---|---|---|---|---|---|")
    for index, (name, (epochs, words)) in enumerate(sets.items()):
        folder = work / str(index)
        labels = write_rows([*words, *RULES, f"model.path={arguments.weights}"], folder)
        seeds = range(1, arguments.seeds + 1)
        overrides = [*words, *RULES, f"model.path={arguments.weights}", f"trainer.max_epochs={epochs}"]
        ours = np.array([train_ours(overrides, folder / f"ours-{seed}", seed) == labels for seed in seeds])
        for peer in peers:
            theirs = [train_peer(peer, pythons[peer], weights[peer], folder, seed, epochs) == labels for seed in seeds]
            print(
                f"| {name} | {len(labels):,} | {describe(ours, np.array(theirs), peer.replace('_', ' '))} |", flush=True
            )


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


def train_peer(peer: str, python: str, weights: str, folder: Path, seed: int, epochs: int) -> np.ndarray:
    """The same of a peer."""
    out = folder / f"{peer}-{seed}.parquet"
    if not out.exists():
        paths = [str(folder / "train.parquet"), str(folder / "test.parquet"), str(out)]
        command = [python, str(HERE / f"peers/{peer}.py"), weights, *paths, str(seed), str(epochs)]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            sys.exit(f"{peer} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    return pq.read_table(out)["predicted"].to_numpy()


def write_encoder(weights: str, folder: Path) -> Path:
    """The encoder of a Hugging Face folder as Model Garden reads it: settings, checkpoint, vocabulary."""
    if not (folder / "encoder.json").exists():
        from bertexp import environment

        environment.prepare()
        import tensorflow as tf

        from bertexp.models.pretrained import load_encoder

        config, _ = compose_config(["model=minilm_l6", f"model.path={weights}", "model.pooling=mean"])
        loaded = load_encoder(make_plan(config).model, config.model)
        folder.mkdir(parents=True, exist_ok=True)
        tf.train.Checkpoint(encoder=loaded.encoder).write(str(folder / "checkpoint"))
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in loaded.vocab), encoding="utf-8")
        sizes = ("vocab_size", "hidden_size", "num_layers", "num_attention_heads", "inner_dim", "max_sequence_length",
                 "type_vocab_size")  # fmt: skip
        settings = loaded.encoder.get_config()
        (folder / "encoder.json").write_text(json.dumps({name: settings[name] for name in sizes}))
    return folder


def describe(ours: np.ndarray, theirs: np.ndarray, peer: str, resamples: int = 2000) -> str:
    """Cells of a row, from hits <bool>[seeds, rows]: means over seeds, their difference, a bootstrap over test rows."""
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    draws = np.random.default_rng(0).integers(0, len(difference), (resamples, len(difference)))
    low, high = np.percentile(difference[draws].mean(axis=1), (2.5, 97.5))
    one, other = [
        f"{hits.mean():.4f} ({', '.join(f'{seed:.3f}' for seed in hits.mean(axis=1))})" for hits in (ours, theirs)
    ]
    return " | ".join([one, peer, other, f"{difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"])


if __name__ == "__main__":
    main()
