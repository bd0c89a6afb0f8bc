"""What encoding and reading encoded rows costs, against TensorFlow's own ways and tf-models' own writer.

Usage: python benchmarks/encode.py [--rows 20000] [setting=value …]

The settings are those of `python -m bertexp encode` (dataset=…, model=…). Figures are rows a second of one core's time, which
another process on the machine does not change, and of the clock. Writes benchmarks/results/encode.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from report import describe_machine

from bertexp.config.resolve import compose_config
from bertexp.data.encoded.encoding import cut_into_shards
from bertexp.data.table import TextDataset
from bertexp.models.source.locate import read_vocabulary
from bertexp.runs.plan import make_plan
from bertexp.system import devices

devices.prepare()

import tensorflow as tf  # noqa: E402

from bertexp.data.encoded.encoding import Shard  # noqa: E402
from bertexp.data.encoded.records import read_split  # noqa: E402
from bertexp.data.examples import shards as writing  # noqa: E402
from bertexp.data.tokens.tokenizer import Tokenizer  # noqa: E402

SHARDS = 16
SLOW_ROWS = 1_000  # of the ways that take milliseconds a row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--half", help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*")
    arguments = parser.parse_args()
    config, _ = compose_config([*arguments.settings, "dataset.val_fraction=0"])
    plan = make_plan(config)
    loaded = plan.dataset.load()
    dataset = replace(loaded, splits={"train": loaded.splits["train"].slice(0, arguments.rows)})
    tokenizer = Tokenizer(*read_vocabulary(plan.model))
    if arguments.half:
        folder, number = Path(arguments.half[1:]), int(arguments.half[0])
        tokenizer.encode([""])
        cores, clock = time.process_time(), time.monotonic()
        writing.write_shards(cut(dataset)[number::2], dataset, tokenizer, config.dataset, folder, 1, lambda rows: None)
        print(time.process_time() - cores, time.monotonic() - clock)
        return
    found = list(measure(dataset, tokenizer, config.dataset, [f"--rows={arguments.rows}", *arguments.settings]))
    machine = describe_machine()
    lines = [f"# Encoding: {machine['processor']}, {machine['cores']} cores, {machine['date']}, commit {machine['commit']}", "",
             f"{dataset.splits['train'].num_rows:,} rows of {loaded.name}, {config.dataset.max_length} word pieces.", "",
             "| | rows a second of one core | rows a second by the clock |", "|---|---|---|", *found]  # fmt: skip
    results = Path(__file__).resolve().parent / "results"
    results.mkdir(exist_ok=True)
    (results / "encode.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(dataset: TextDataset, tokenizer: Tokenizer, config, words: list[str]):
    """Yields a line of the table for each way."""

    def timed(what: str, rows: int, work: Callable[[], object]) -> str:
        cores, clock = time.process_time(), time.monotonic()
        work()
        cores, clock = time.process_time() - cores, time.monotonic() - clock
        line = f"| {what} | {rows / cores:,.0f} | {rows / clock:,.0f} |"
        print(line, flush=True)
        return line

    table = dataset.splits["train"]
    rows = table.num_rows
    tokenizer.encode(["warm"] * 10)
    with tempfile.TemporaryDirectory() as scratch:
        yield timed("tokenizing alone (tensorflow-text)", rows, lambda: tokenizer.encode(table["text"]))
        for workers in (1, 2, 4):
            folder = Path(scratch) / f"{workers}"
            folder.mkdir()
            yield timed(
                f"bertexp encode, {workers} threads", rows,
                lambda f=folder, w=workers: writing.write_shards(
                    cut(dataset), dataset, tokenizer, config, f, w, lambda rows: None
                ),
            )  # fmt: skip
        yield in_processes(Path(scratch) / "processes", rows, words)
        arrow = [shard._replace(name=shard.name.replace("tfrecord", "arrow")) for shard in cut(dataset)]
        yield timed(
            "bertexp encode format=arrow, 2 threads", rows,
            lambda: writing.write_shards(arrow, dataset, tokenizer, config, Path(scratch) / "1", 2, lambda rows: None),
        )  # fmt: skip

        some = writing._encode(replace(dataset, splits={"train": table.slice(0, 2048)}), tokenizer, config)
        yield timed("serializing alone", 2048 * 4, lambda: [writing.serialize(some) for _ in range(4)])
        few = {name: values[:SLOW_ROWS] for name, values in some.items()}
        yield timed("serializing alone, tf.train.Example", SLOW_ROWS, lambda: plain(few))
        texts = table.slice(0, SLOW_ROWS)
        yield timed(
            "tf-models: tokenizing and writing", len(texts),
            lambda: with_model_garden(texts, tokenizer, config.max_length, Path(scratch)),
        )  # fmt: skip

        files = sorted((Path(scratch) / "1").glob("*.tfrecord"))
        yield timed("reading, dataset=tfrecord, first time", rows, lambda: read_split(files, Path(scratch) / "cache"))
        yield timed("reading, dataset=tfrecord, again", rows, lambda: read_split(files, Path(scratch) / "cache"))
        yield timed("reading, tf.io.parse_example", rows, lambda: parse(files, config.max_length))


def cut(dataset: TextDataset) -> list[Shard]:
    sizes = cut_into_shards({"train": dataset.splits["train"].num_rows}, SHARDS)["train"]
    begins = np.cumsum([0, *sizes[:-1]]).tolist()
    return [
        Shard(f"train-{n}.tfrecord", "train", begin, size)
        for n, (begin, size) in enumerate(zip(begins, sizes, strict=True))
    ]


def in_processes(folder: Path, rows: int, words: list[str]) -> str:
    """Two processes, each with half of the shards."""
    folder.mkdir()
    halves = [
        subprocess.Popen(
            [sys.executable, __file__, f"--half={number}{folder}", *words],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for number in (0, 1)
    ]  # fmt: skip
    cores, clock = zip(*(map(float, half.communicate()[0].splitlines()[-1].split()) for half in halves), strict=True)
    line = (
        f"| the same in 2 processes, their imports not counted | {rows / sum(cores):,.0f} | {rows / max(clock):,.0f} |"
    )
    print(line, flush=True)
    return line


def plain(features: dict[str, np.ndarray]) -> list[bytes]:
    def ints(values: np.ndarray) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.tolist()))

    return [
        tf.train.Example(
            features=tf.train.Features(feature={name: ints(values[row]) for name, values in features.items()})
        ).SerializeToString()
        for row in range(len(features["label_ids"]))
    ]


def with_model_garden(table, tokenizer: Tokenizer, max_length: int, folder: Path) -> None:
    from official.nlp.data import classifier_data_lib
    from official.nlp.tools.tokenization import FullTokenizer

    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in tokenizer.vocab), encoding="utf-8")
    examples = [
        classifier_data_lib.InputExample(row, text, None, label)
        for row, (text, label) in enumerate(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))
    ]
    classifier_data_lib.file_based_convert_examples_to_features(
        examples,
        sorted({example.label for example in examples}),
        max_length,
        FullTokenizer(str(folder / "vocab.txt"), do_lower_case=tokenizer.lowercase),
        str(folder / "garden.tf_record"),
    )


def parse(files: list[Path], max_length: int) -> None:
    spec = {name: tf.io.FixedLenFeature([max_length], tf.int64) for name in ("input_ids", "input_mask", "segment_ids")}
    dataset = tf.data.TFRecordDataset(list(map(str, files))).batch(8192)
    for _ in dataset.map(lambda records: tf.io.parse_example(records, spec)):
        pass


if __name__ == "__main__":
    main()
