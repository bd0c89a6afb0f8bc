"""What each way to speed brings alone: training with all of them against training without one.

Usage: python benchmarks/ways.py [--data FOLDER] [--vocab FILE] [--set mrpc] [--rows 384] [--rounds 9] [--only lanes,words]

Encoder L-4 H-512, or that of --weights, batch 32, up to 128 tokens. Without --data the rows are the embedded reviews. Each round times
all of them once, in fresh processes. A way stays if its median gain is 3% or more and 7 of 9 rounds gain; what makes the first step
come sooner is judged by start.py. Writes benchmarks/results/ways.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bench import HERE, REPOSITORY, Peer
from report import describe_machine
from works import L4, OURS, Rows

from bertexp.data.sets.reviews import VOCAB_FILE

sys.path.insert(0, str(HERE / "peers"))
from without import WAYS

LEAST_GAIN = 1.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--vocab", type=Path, default=VOCAB_FILE)
    parser.add_argument("--set", default="mrpc", choices=["mrpc", "imdb", "sst2"])
    parser.add_argument("--rows", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", help="keys of peers/without.py, separated by commas; all by default")
    parser.add_argument("--weights", help="a Hugging Face folder of MiniLM-L6, in place of L-4 H-512")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "outputs/benchmarks/ways")
    arguments = parser.parse_args()
    work, vocab = arguments.work.resolve(), arguments.vocab.resolve()
    work.mkdir(parents=True, exist_ok=True)
    rows = Rows(work / "rows" / ("real" if arguments.data else "reviews"), arguments.data, vocab)
    request = {"kind": "train", "rows": str(rows.write(arguments.set, arguments.rows)), "outputs": str(work / "outputs"),
               "vocab": str(vocab), "pair": rows.has_pair(arguments.set), **L4}  # fmt: skip
    if arguments.weights:
        request["weights"] = arguments.weights
    chosen = {key: WAYS[key] for key in (arguments.only.split(",") if arguments.only else WAYS)}
    ways: dict[str, tuple[str, object]] = {"": ("all of them", None), **chosen}
    rates: dict[str, list[float]] = {key: [] for key in ways}
    for number in range(arguments.rounds):
        for key, (name, switch) in ways.items():  # a fresh process each: switches stay where they are put
            environment = switch if isinstance(switch, dict) else {}
            peer = Peer(OURS, sys.executable, work / f"{key or 'all'}.log", environment)
            answer = peer.ask(request | {"without": key})
            peer.close()
            rates[key].append(answer["rows"] / answer["seconds"])
            print(
                f"round {number + 1}/{arguments.rounds}  without {name if key else 'nothing'}: {rates[key][-1]:.1f}/s",
                flush=True,
            )
    machine = describe_machine()
    lines = [f"# What each way brings: {arguments.set if arguments.data else 'reviews'}, {machine['processor']}, "
             f"{machine['cores']} cores, {machine['date']}", "",
             f"Commit {machine['commit']}. Training {'MiniLM-L6' if arguments.weights else 'L-4 H-512'} with all of them: {statistics.median(rates['']):.1f} rows a second.", "",
             "| without | rows a second | with it, times as fast | rounds that gain | stays |", "|---|---|---|---|---|"]  # fmt: skip
    for key, (name, _) in chosen.items():
        ratios = [whole / without for whole, without in zip(rates[""], rates[key], strict=True)]
        middle, gains = statistics.median(ratios), sum(ratio > 1.0 for ratio in ratios)
        stays = middle >= LEAST_GAIN and 9 * gains >= 7 * len(ratios)
        lines.append(
            f"| {name} | {statistics.median(rates[key]):.1f} | **{middle:.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) | "
            f"{gains} of {len(ratios)} | {'yes' if stays else 'no'} |"
        )
    table = "\n".join(lines) + "\n"
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results/ways.md").write_text(table, encoding="utf-8")
    print("\n" + table)


if __name__ == "__main__":
    main()
