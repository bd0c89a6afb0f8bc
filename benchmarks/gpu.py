"""Training steps by precision, XLA and batch size: tokens a second, and the share of the device's arithmetic they use.

Usage: python benchmarks/gpu.py [--layers 12] [--hidden 768] [--width 128] [--batches 16,32,64,128] [--cpu]

The share is the step's matrix products over what a large product of the same precision reaches here, measured first. Writes
benchmarks/results/gpu.md. It has only been run with --cpu so far.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from report import describe_machine

from bertexp.config.schema import TrainerConfig
from bertexp.errors import BertexpError
from bertexp.system import devices

HERE = Path(__file__).resolve().parent
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batches", default="16,32,64,128")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cpu", action="store_true", help="to try this script where there is no GPU")
    arguments = parser.parse_args()
    devices.prepare()
    lines = ["| precision | XLA | batch | tokens a second | share of the arithmetic |", "|---|---|---|---|---|"]
    for precision in PRECISIONS[: 2 if arguments.cpu else 3]:
        try:
            device = devices.configure(
                TrainerConfig(precision=precision, accelerator="cpu" if arguments.cpu else "gpu"), seed=1
            )
        except BertexpError as error:
            sys.exit(f"bench-gpu: {error}")
        peak = measure_peak(precision, 1024 if arguments.cpu else 8192)
        for jit in (False, True):
            for batch in map(int, arguments.batches.split(",")):
                seconds, operations = time_step(arguments, jit, batch)
                lines.append(
                    f"| {precision} | {'on' if jit else 'off'} | {batch} | {batch * arguments.width / seconds:,.0f} | "
                    f"{operations / seconds / peak:.0%} |"
                )
                print(lines[-1], flush=True)
    machine = describe_machine()
    table = (
        f"# {device}: L-{arguments.layers} H-{arguments.hidden}, {arguments.width} tokens, {machine['date']}\n\n"
        f"Commit {machine['commit']}; {machine['versions']}; {machine['processor']}, {os.cpu_count()} cores.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results/gpu.md").write_text(table, encoding="utf-8")


def measure_peak(precision: str, size: int) -> float:
    """Operations a second of a square product."""
    import tensorflow as tf

    dtype = precision.removeprefix("mixed_")
    matrix = tf.cast(tf.random.normal([size, size]), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)), autograph=False)
    return 2 * size**3 / median_seconds(lambda: product().numpy(), 10)


def time_step(arguments: argparse.Namespace, jit: bool, batch: int) -> tuple[float, float]:
    """Seconds of a step, and the operations of its matrix products."""
    import numpy as np
    import tensorflow as tf

    sys.path.insert(0, str(HERE / "peers"))
    from bertexp_peer import count_operations

    from bertexp.data.examples import TOKEN_SPEC
    from bertexp.models.encoder import make_encoder
    from bertexp.models.source.architecture import BertArchitecture
    from bertexp.models.text_model import TextClassifier
    from bertexp.tasks.classification.task import Classification
    from bertexp.training.module import FineTuningModule
    from bertexp.training.optimizers.adamw import AdamW

    hidden, width = arguments.hidden, arguments.width
    architecture = BertArchitecture(30522, hidden, arguments.layers, max(1, hidden // 64), 4 * hidden)
    model = TextClassifier(make_encoder(architecture, 1, only_cls=True), 2, "pooler", 0.1, 1)
    task = Classification(("no", "yes"), "softmax")
    module = FineTuningModule(model, task, lambda steps: AdamW(3e-5))
    optimizer = module.configure_optimizers(1000)
    batches = SimpleNamespace(spec=TOKEN_SPEC, label_spec=tf.TensorSpec([None], tf.int32))
    step = module.compiled_training_step(optimizer, TrainerConfig(jit_compile=jit), batches)
    ids = np.random.default_rng(0).integers(1, 30522, (batch, width)).astype(np.int32)
    features = {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": np.zeros_like(ids)}
    features = {name: tf.constant(value) for name, value in features.items()}
    labels, seed = tf.zeros([batch], tf.int32), (1, 1)
    seconds = median_seconds(lambda: step(features, labels, seed)[0].numpy(), arguments.steps)
    return seconds, count_operations(architecture, batch, width)


def median_seconds(call, count: int) -> float:
    seconds = []
    for _ in range(3 + count):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[3:])


if __name__ == "__main__":
    main()
