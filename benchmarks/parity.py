"""Is what bertexp trains as good as what Hugging Face and Model Garden train? Same weights, rows, budget, rules; several seeds.

Usage: python benchmarks/parity.py --weights weights/all-MiniLM-L6-v2 --data data [--sets mrpc,stsb] [--seeds 3]

``data`` holds glue/<TASK>, imdb/aclImdb_v1.tar.gz, banking77, wnut17, xquad/xquad.en.json. Prints the table of docs/parity.md. Each peer
runs in an environment of its own, made from peers/requirements-*.txt where none is given. What is in the work folder is not trained again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench import make_environment
from scipy import stats

from bertexp.config.resolve import compose_config
from bertexp.runs.plan import make_plan
from bertexp.system import devices

devices.prepare()

from bertexp.reports.confusions import count_confusions, matthews_of  # noqa: E402
from bertexp.reports.statistics import f1_of_sums  # noqa: E402
from bertexp.tasks.question_answering.answers import f1_score  # noqa: E402
from bertexp.tasks.tagging.task import count_entities  # noqa: E402

HERE = Path(__file__).resolve().parent
RULES = ["model=minilm_l6", "model.pooling=pooler", "task.binary_head=softmax", "optimizer.epsilon=1e-8",
         "optimizer.warmup_form=continuous", "optimizer.learning_rate=5e-5", "trainer.restore_best=false",
         "trainer.validate_every_epochs=99", "tracking=none", "export.enabled=false"]  # fmt: skip


class Work(NamedTuple):
    """A data set, what is learned from it and for how long."""

    title: str
    epochs: int
    words: list[str]  # of bertexp's command
    metric: str
    peers: tuple[str, ...] = ("huggingface",)
    max_length: int = 128


def make_works(data: str) -> dict[str, Work]:
    """The works by name; validation rows are trained on, for nothing is chosen by them."""
    glue, whole = f"dataset.path={data}/glue", "dataset.val_fraction=0"
    both = ("huggingface", "model_garden")
    return {
        "sst2": Work("SST-2, 8,000 rows", 1, ["dataset=sst2", f"{glue}/SST-2", whole, "dataset.limit_train=8000"], "accuracy", both),
        "mrpc": Work("MRPC", 3, ["dataset=mrpc", f"{glue}/MRPC", whole, "task.main_metric=accuracy"], "accuracy", both),
        "imdb": Work("IMDB, 2,000 rows", 2, ["dataset=imdb", f"dataset.path={data}/imdb/aclImdb_v1.tar.gz", "dataset.limit_train=2000",
                                            "dataset.limit_val=100", "dataset.limit_test=2000"], "accuracy", both),
        "cola": Work("CoLA", 3, ["dataset=cola", f"{glue}/CoLA", whole], "mcc"),
        "stsb": Work("STS-B", 3, ["dataset=stsb", f"{glue}/STS-B", whole], "spearman"),
        "banking77": Work("Banking77", 3, ["dataset=banking77", f"dataset.path={data}/banking77", whole], "accuracy"),
        "wnut17": Work("WNUT-17", 3, ["dataset=wnut17", f"dataset.path={data}/wnut17"], "entity F1"),
        "xquad": Work("XQuAD, by article", 2, ["dataset=xquad", f"dataset.path={data}/xquad/xquad.en.json", whole,
                                             "dataset.max_length=256", "dataset.window_overlap=64"], "answer F1", max_length=256),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="a Hugging Face folder")
    parser.add_argument("--data", required=True, help="the folder of all data sets")
    parser.add_argument("--sets", help="names, separated by commas; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=HERE.parent / "outputs/benchmarks/parity")
    parser.add_argument("--huggingface-python")
    parser.add_argument("--tensorflow-python")
    parser.add_argument("--peers", default="huggingface,model_garden")
    arguments = parser.parse_args()
    work, seeds = arguments.work.resolve(), range(1, arguments.seeds + 1)
    works = make_works(str(Path(arguments.data).resolve()))
    names = arguments.sets.split(",") if arguments.sets else list(works)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {datetime.date.today()}\n")
    print("| data | metric | test rows | bertexp | peer | | difference (95% interval) |\n|---|---|---|---|---|---|---|")
    for name in names:
        one, folder = works[name], work / name
        overrides = [*one.words, *RULES, f"model.path={arguments.weights}"]
        test = write_rows(overrides, folder)
        overrides.append(f"trainer.max_epochs={one.epochs}")
        ours = [train_ours(overrides, folder / f"ours-{seed}", seed) for seed in seeds]
        for peer in set(one.peers) & set(arguments.peers.split(",")):
            python, weights = prepare(peer, arguments, work)
            theirs = [train_peer(peer, python, weights, folder, seed, one, test) for seed in seeds]
            row = [
                f"{one.title}, {one.epochs} epoch{'s' if one.epochs > 1 else ''}",
                one.metric,
                f"{test.rows.num_rows:,}",
            ]
            print("|", " | ".join([*row, *compare(ours, theirs, peer, one.metric, test)]), "|", flush=True)


def prepare(peer: str, arguments: argparse.Namespace, work: Path) -> tuple[str, str]:
    """The Python and the weights that a peer runs with."""
    if peer == "huggingface":
        return arguments.huggingface_python or make_environment("huggingface", work), arguments.weights
    encoder = str(write_encoder(arguments.weights, work / "encoder"))
    return arguments.tensorflow_python or make_environment("tensorflow", work), encoder


class Test(NamedTuple):
    """The test rows in canonical form."""

    rows: pa.Table
    task: str
    label_names: tuple[str, ...]

    def spell(self, predicted: list) -> list:
        """A peer's predictions as bertexp's ``predictions.parquet`` spells them."""
        if self.task == "tagging":
            words = self.rows["label"].to_pylist()
            tags = [[self.label_names[tag] for tag in row] for row in predicted]
            return [" ".join([*row, *["O"] * (len(all_) - len(row))]) for row, all_ in zip(tags, words, strict=True)]
        return [self.label_names[row] for row in predicted] if self.task == "classification" else predicted


def write_rows(words: list[str], folder: Path) -> Test:
    """Writes the splits that bertexp makes of the data; returns the test split."""
    folder.mkdir(parents=True, exist_ok=True)
    config, _ = compose_config(words)
    dataset = make_plan(config).dataset.load()
    for split, table in dataset.splits.items():
        pq.write_table(table, folder / f"{split}.parquet")
    return Test(dataset.splits["test"], dataset.task, dataset.label_names)


def train_ours(words: list[str], folder: Path, seed: int) -> list:
    """Returns what the model of that seed says of the test rows, in words or numbers."""
    if not (folder / "predictions.parquet").exists():
        command = [sys.executable, "-m", "bertexp", *words, f"run.seed={seed}", f"hydra.run.dir={folder}"]
        subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
    return pq.read_table(folder / "predictions.parquet")["predicted"].to_pylist()


def train_peer(peer: str, python: str, weights: str, folder: Path, seed: int, one: Work, test: Test) -> list:
    """The same of a peer."""
    out = folder / f"{peer}-{seed}.parquet"
    if not out.exists():
        paths = [str(folder / "train.parquet"), str(folder / "test.parquet"), str(out)]
        command = [python, str(HERE / f"peers/{peer}.py"), weights, *paths, str(seed), str(one.epochs)]
        if peer == "huggingface":
            command += [test.task, str(one.max_length), str(one.max_length // 4)]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            sys.exit(f"{peer} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    return test.spell(pq.read_table(out)["predicted"].to_pylist())


def compare(
    ours: list[list], theirs: list[list], peer: str, metric: str, test: Test, resamples: int = 500
) -> list[str]:
    """Cells of a row: each side's mean over seeds and its seeds, their difference, a bootstrap over test rows."""
    sides = [[make_score(metric, predicted, test) for predicted in side] for side in (ours, theirs)]
    whole = np.arange(test.rows.num_rows)
    found = [[score(whole) for score in side] for side in sides]
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, len(whole), len(whole)) for _ in range(resamples)]
    drawn = [np.mean([[score(rows) for score in side] for rows in draws], axis=1) for side in sides]
    low, high = np.percentile(drawn[0] - drawn[1], (2.5, 97.5))
    one, other = [f"{np.mean(side):.4f} ({', '.join(f'{value:.3f}' for value in side)})" for side in found]
    difference = np.mean(found[0]) - np.mean(found[1])
    return [one, peer.replace("_", " "), other, f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"]


def make_score(metric: str, predicted: list, test: Test) -> Callable[[np.ndarray], float]:
    """From row numbers <int>[n] to the metric of the predictions of those rows."""
    labels = test.rows["label"]
    if metric == "spearman":
        found, wanted = np.array(predicted), labels.to_numpy()
        return lambda rows: float(stats.spearmanr(found[rows], wanted[rows])[0])
    if metric == "entity F1":
        true = [[test.label_names[tag] for tag in row] for row in labels.to_pylist()]
        counts = count_entities(true, [row.split(" ") for row in predicted], test.label_names).sum(axis=1)
        return lambda rows: float(f1_of_sums(counts[rows].sum(axis=0)))
    if metric == "answer F1":
        gold = [[answer["text"] for answer in answers] for answers in labels.to_pylist()]
        scores = np.array([f1_score(one, all_) for one, all_ in zip(predicted, gold, strict=True)])
        return lambda rows: float(scores[rows].mean())
    found = np.array([test.label_names.index(name) for name in predicted])
    wanted = labels.to_numpy()
    if metric == "mcc":
        classes = len(test.label_names)
        return lambda rows: float(matthews_of(count_confusions(wanted[rows], found[rows], classes).marginals()))
    return lambda rows: float((found[rows] == wanted[rows]).mean())


def write_encoder(weights: str, folder: Path) -> Path:
    """The encoder of a Hugging Face folder as Model Garden reads it: settings, checkpoint, vocabulary."""
    if not (folder / "encoder.json").exists():
        import tensorflow as tf

        from bertexp.models.pretrained import load_encoder

        config, _ = compose_config(["model=minilm_l6", f"model.path={weights}", "model.pooling=mean"])
        loaded = load_encoder(make_plan(config).model, config.model)
        folder.mkdir(parents=True, exist_ok=True)
        tf.train.Checkpoint(encoder=loaded.encoder).write(str(folder / "checkpoint"))
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in loaded.vocab), encoding="utf-8")
        sizes = ("vocab_size", "hidden_size", "num_layers", "num_attention_heads", "inner_dim", "max_sequence_length",
                 "type_vocab_size")  # fmt: skip
        settings = loaded.encoder.held.get_config()
        (folder / "encoder.json").write_text(json.dumps({name: settings[name] for name in sizes}))
    return folder


if __name__ == "__main__":
    main()
