"""bertexp and its peers on the same rows, side by side: medians of interleaved runs, ratios, a table and a plot.

Usage: python benchmarks/bench.py [--full] [--data FOLDER] [--weights FOLDER] [--vocab FILE] [--rounds 3] [--only WORD]
                                  [--before CHECKOUT]

FOLDER of --data holds imdb/aclImdb_v1.tar.gz, glue/MRPC and glue/SST-2; without it the embedded reviews are the rows. Each
peer gets an environment of its own at the first run (about 1.5 and 3 GB). CHECKOUT is one of an earlier bertexp, timed in the same
rounds. Results go to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from report import BEFORE, write_report
from works import OURS, OURS_PREDICTING, PADDED_STEPS, WORKS, Rows

from bertexp.data.sets.reviews import VOCAB_FILE

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
SIZES = {"huggingface": "1.5 GB", "tensorflow": "3 GB"}
SCRIPTS = {
    OURS: "bertexp_peer.py",
    OURS_PREDICTING: "bertexp_peer.py",
    "huggingface": "huggingface_peer.py",
    "tensorflow": "tensorflow_peer.py",
}


class Peer:
    """A peer's process, started at its first request."""

    def __init__(
        self,
        name: str,
        python: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
        checkout: Path = REPOSITORY,
    ):
        self._name, self._python, self._log = name, python, log
        self._script = checkout / "benchmarks/peers" / SCRIPTS[name]
        ours = {"PYTHONPATH": str(checkout)} if name in (OURS, OURS_PREDICTING) else {}
        self._environment = os.environ | ours | (environment or {})
        self._process: subprocess.Popen | None = None

    def ask(self, request: dict) -> dict:
        """The answer to one request."""
        if self._process is None:
            self._process = subprocess.Popen(
                [self._python, "-W", "ignore", str(self._script)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self._log, "w"), text=True,  # noqa: SIM115
                env=self._environment,
            )  # fmt: skip
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._name} ended in {request}:\n{self._log.read_text()[-3000:]}")
        return json.loads(line)

    def close(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="more rows and five rounds")
    parser.add_argument("--data", type=Path, help="folder of real data sets")
    parser.add_argument("--weights", help="a Hugging Face folder of MiniLM-L6; random weights of its shape otherwise")
    parser.add_argument("--vocab", type=Path, help="vocabulary of the random encoders; the embedded one otherwise")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="", help="only works whose name holds this word")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier bertexp")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "outputs/benchmarks/bench")
    parser.add_argument("--huggingface-python", help="an environment that is there already")
    parser.add_argument("--tensorflow-python", help="an environment that is there already")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    pythons = dict.fromkeys((OURS, OURS_PREDICTING), sys.executable)
    for name in SIZES:
        pythons[name] = getattr(arguments, f"{name}_python") or make_environment(name, work)
    peers = {name: Peer(name, python, work / f"{name}.log") for name, python in pythons.items()}
    if arguments.before:
        for name in (OURS, OURS_PREDICTING):
            log = work / f"{name}-before.log"
            peers[f"{name} before"] = Peer(name, sys.executable, log, checkout=arguments.before.resolve())
    vocab = (arguments.vocab or VOCAB_FILE).resolve()
    rows = Rows(work / "rows" / ("real" if arguments.data else "reviews"), arguments.data, vocab)
    chosen = [one for one in WORKS if arguments.only in one.name]
    rounds, found, started = arguments.rounds or (5 if arguments.full else 3), {}, time.monotonic()
    for number in range(rounds):
        for one in chosen:
            common = {"rows": str(rows.write(one.data, one.rows[arguments.full])), "outputs": str(work / "outputs"),
                      "vocab": str(vocab), "pair": rows.has_pair(one.data), "padded_steps": PADDED_STEPS[arguments.full],
                      **one.request}  # fmt: skip
            if common.pop("pretrained", False) and arguments.weights:
                common["weights"] = arguments.weights
            columns = {OURS: (one.ours, {}), **{name: (peer, more) for name, (peer, more, _) in one.peers.items()}}
            if arguments.before:
                columns[BEFORE] = (f"{one.ours} before", {})
            for column, (peer, more) in columns.items():
                answer = peers[peer].ask(common | more)
                found.setdefault(one.name, {}).setdefault(column, []).append(answer)
                rate = answer["rows"] / answer["seconds"]
                print(f"round {number + 1}/{rounds}  {time.monotonic() - started:5.0f} s  {one.name}: {column} {rate:,.1f}/s",
                      flush=True)  # fmt: skip
    for peer in peers.values():
        peer.close()
    print("\n" + write_report(chosen, found, HERE / "results", vars(arguments)))


def make_environment(name: str, work: Path) -> str:
    """Makes a peer's environment; returns its Python."""
    python = work / name / "bin/python"
    if not python.exists():
        print(f"making the environment of {name}, about {SIZES[name]}", flush=True)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(work / name)], check=True)
        requirements = str(HERE / f"peers/requirements-{name}.txt")
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), "-r", requirements], check=True)
    return str(python)


if __name__ == "__main__":
    main()
