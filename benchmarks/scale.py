"""Does training cost the same per token at any size of the data, and what does a large file cost in memory?

Usage: python benchmarks/scale.py [--sizes 1000,10000,100000,1000000] [--large 2000000]

Each size is a parquet file of numbered reviews and a fresh `python -m bertexp`-like process that trains the tiny model for some
steps. Writes benchmarks/results/scale.md and .png.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from report import describe_machine

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--large", type=int, default=2_000_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "outputs/benchmarks/scale")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(train(Path(arguments.child[0]), int(arguments.child[1]))))
        return
    sizes = sorted({*map(int, arguments.sizes.split(",")), arguments.large})
    found = {}
    for size in sizes:
        path = write_rows(arguments.work.resolve(), size)
        command = [sys.executable, __file__, "--child", str(path), str(arguments.steps)]
        ended = subprocess.run(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
        )
        found[size] = json.loads(ended.stdout.splitlines()[-1])
        print(f"{size:>9,} rows: {found[size]}", flush=True)
    machine = describe_machine()
    lines = [f"# Scale: {machine['processor']}, {machine['cores']} cores, {machine['date']}, commit {machine['commit']}", "",
             "The tiny model, batch 32, a parquet file of reviews; peak memory is the whole process's, TensorFlow's 0.6 GB included.", "",
             "| rows | microseconds a token | first start, data ready (s) | second start (s) | peak memory (MB) |",
             "|---|---|---|---|---|"]  # fmt: skip
    for size, one in found.items():
        lines.append(f"| {size:,} | {one['microseconds_per_token']:.2f} | {one['first_seconds']:.1f} | "
                     f"{one['second_seconds']:.1f} | {one['peak_mb']:,.0f} |")  # fmt: skip
    table = "\n".join(lines) + "\n"
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results/scale.md").write_text(table, encoding="utf-8")
    draw(found, HERE / "results/scale.png")
    print("\n" + table)


def write_rows(work: Path, size: int) -> Path:
    """A parquet file of ``size`` reviews, no two alike."""
    from bertexp.data.sets.reviews import LABEL_NAMES, make_reviews

    path = work / f"{size}.parquet"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        table = make_reviews()["train"]
        texts = table["text"].to_pylist()
        labels = [LABEL_NAMES[label] for label in table["label"].to_pylist()]
        schema = pa.schema([("text", pa.string()), ("label", pa.string())])
        with pq.ParquetWriter(path, schema) as writer:
            for begin in range(0, size, 100_000):
                rows = range(begin, min(begin + 100_000, size))
                columns = [
                    [f"{texts[row % len(texts)]} Number {row}." for row in rows],
                    [labels[row % len(texts)] for row in rows],
                ]
                writer.write_table(pa.table(columns, schema=schema))
    return path


def train(path: Path, steps: int) -> dict:
    """Times one process: data ready twice (without and with the token cache), then some steps."""
    from bertexp.config.resolve import compose_config
    from bertexp.runs.plan import make_plan

    work = path.parent / path.stem
    config, _ = compose_config(
        ["dataset=files", f"dataset.path={path}", "dataset.val_fraction=0.01", "dataset.test_fraction=0.01", "tracking=none",
         f"run.outputs_dir={work}", f"trainer.max_steps={steps}", "trainer.validate_every_steps=1000000"]
    )  # fmt: skip
    plan = make_plan(config)
    from bertexp.runs.stages.parts import build_parts  # TensorFlow's import is not what is timed
    from bertexp.training.callbacks import Callback
    from bertexp.training.trainer import Trainer

    for kept in work.glob("cache/tokens/*"):
        kept.unlink()
    seconds, parts = [], None
    for _ in range(2):
        parts = None  # a run holds its data once
        begin = time.perf_counter()
        parts = build_parts(config, plan, plan.dataset.load())
        seconds.append(time.perf_counter() - begin)
    ends = []

    class Clock(Callback):
        def sees_model(self, hook: str) -> bool:
            return False

        def on_train_batch_end(self, trainer) -> None:
            ends.append(time.perf_counter())

    loader = parts.data.train_loader()
    config.trainer.limit_val_batches = 1
    Trainer(config.trainer, callbacks=[Clock()], seed=1).fit(parts.module, parts.data)
    order = [rows for epoch in range(-(-steps // len(loader))) for rows in loader.order(epoch)][:steps]
    lengths, half = parts.data.examples("train").lengths, steps // 2
    tokens = sum(int(lengths[rows].sum()) for rows in order[half:])
    return {
        "microseconds_per_token": (ends[-1] - ends[half - 1]) / tokens * 1e6,
        "first_seconds": seconds[0],
        "second_seconds": seconds[1],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def draw(found: dict[int, dict], path: Path) -> None:
    """Time per token and memory over the number of rows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    sizes = np.array(list(found))
    left.semilogx(sizes, [one["microseconds_per_token"] for one in found.values()], "o-")
    left.set_ylim(bottom=0)
    left.set(xlabel="rows", ylabel="microseconds a token")
    right.loglog(sizes, [one["peak_mb"] for one in found.values()], "o-")
    right.set(xlabel="rows", ylabel="peak memory (MB)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
