"""How long two exported models take for one text, called in turns.

Usage: python benchmarks/export.py OLD NEW [--rounds 9] [--calls 10] [--lengths 8 128]

OLD and NEW are folders that bertexp exported, of models of one size. A round calls both in turns, on one row of that many
pieces, through the signature `ids`. Prints the medians of the rounds' medians, in milliseconds, and the median of their
ratios: of the time until the answer, and of the processors' time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations of the tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=10, help="of each model in a round")
    parser.add_argument("--lengths", type=int, nargs="+", default=[8, 128], help="pieces of the text")
    arguments = parser.parse_args()
    models = [tf.saved_model.load(folder) for folder in (arguments.old, arguments.new)]
    for length in arguments.lengths:
        ids = tf.constant(np.random.default_rng(0).integers(5, 1000, (1, length)), tf.int32)
        features = {"input_word_ids": ids, "input_mask": tf.ones_like(ids), "input_type_ids": tf.zeros_like(ids)}
        rounds = [one_round(models, features, arguments.calls) for _ in range(1 + arguments.rounds)][1:]
        for column, name in enumerate(("answer", "processors")):
            pairs = [(old[column], new[column]) for old, new in rounds]
            old, new = (1e3 * statistics.median(seconds) for seconds in zip(*pairs, strict=True))
            ratio = statistics.median(new / old for old, new in pairs)
            print(f"{length} pieces, {name}: {old:.1f} ms, {new:.1f} ms, ratio {ratio:.3f}", flush=True)


def one_round(models: list, features: dict[str, tf.Tensor], calls: int) -> list[list[float]]:
    """For each model the median seconds of its calls: until the answer, and of the processors."""
    found: list[list[tuple[float, float]]] = [[] for _ in models]
    for _ in range(calls):
        for model, times in zip(models, found, strict=True):
            begin = time.perf_counter(), time.process_time()
            model.signatures["ids"](**features)["logits"].numpy()
            times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    return [[statistics.median(column) for column in zip(*times, strict=True)] for times in found]


if __name__ == "__main__":
    main()
