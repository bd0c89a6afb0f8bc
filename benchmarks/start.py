"""How long from the command to the first training step, beside the bare imports it cannot do without.

Usage: python benchmarks/start.py [--rounds 5] [-- model=… dataset=…]

Interleaved, in fresh processes on warm caches: the imports of tensorflow and mlflow, the import of hydra, `--cfg job`, a run with
the words after --, which is stopped at its first step, and the same with trainer.rewrite_graphs=true. Writes benchmarks/results/start.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import describe_machine

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
IMPORTS = "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'; import tensorflow, mlflow"


def main() -> None:
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 5
    names = ("imports", "first step", "first step, graphs rewritten", "import hydra", "--cfg job")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as outputs:
        run = [sys.executable, "-u", "-m", "bertexp", *words, f"run.outputs_dir={outputs}"]
        first_step(run)  # fills the caches
        for number in range(rounds):
            seconds["imports"].append(whole([sys.executable, "-c", IMPORTS]))
            seconds["first step"].append(first_step(run))
            seconds["first step, graphs rewritten"].append(first_step([*run, "trainer.rewrite_graphs=true"]))
            seconds["import hydra"].append(whole([sys.executable, "-c", "import hydra"]))
            seconds["--cfg job"].append(whole([sys.executable, "-m", "bertexp", *words, "--cfg", "job"]))
            print(
                f"round {number + 1}/{rounds}  "
                + "  ".join(f"{key} {found[-1]:.2f} s" for key, found in seconds.items()),
                flush=True,
            )

    def ratio(one: str, other: str) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))

    machine = describe_machine()
    table = (
        f"# Start: {machine['processor']}, {machine['cores']} cores, {machine['date']}, commit {machine['commit']}\n\n"
        f"`python -m bertexp {' '.join(words)}` on warm caches, {rounds} interleaved rounds.\n\n"
        "| what | median seconds | lowest to highest |\n|---|---|---|\n"
        + "".join(f"| {key} | {statistics.median(found):.2f} | {min(found):.2f} to {max(found):.2f} |\n" for key, found in seconds.items())
        + f"\nFrom the command to the first step: **{ratio('first step', 'imports'):.2f}** times the imports of tensorflow "
        "and mlflow.\n"
        f"`--cfg job`: **{ratio('--cfg job', 'import hydra'):.2f}** times `import hydra`.\n"
        f"With TensorFlow's rewriting of graphs the first step comes **{ratio('first step, graphs rewritten', 'first step'):.2f}** times as late.\n"
    )  # fmt: skip
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results/start.md").write_text(table, encoding="utf-8")
    print("\n" + table)


def whole(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def first_step(command: list[str]) -> float:
    """Seconds until the line of step 1; the run is then stopped."""
    begin = time.perf_counter()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("step 1/"):
                seconds = time.perf_counter() - begin
                process.kill()
                process.stdout.read()
                return seconds
        sys.exit(f"the run ended before its first step:\n{process.stderr.read()[-2000:]}")


if __name__ == "__main__":
    main()
