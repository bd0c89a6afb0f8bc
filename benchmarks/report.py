"""From timed runs to a table, a plot and a file of figures, with the machine they come from."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
from importlib import metadata
from pathlib import Path

from works import ARITHMETIC, OURS, Work

BEFORE = "bertexp before"


def write_report(works: list[Work], found: dict[str, dict[str, list[dict]]], folder: Path, arguments: dict) -> str:
    """Writes ``<kind>.md``, ``.json`` and ``.png`` into ``folder``; returns the table."""
    kind = "bench_full" if arguments["full"] else "bench"
    machine = describe_machine()
    lines = ["| work | against | bertexp | peer | ratio (lowest to highest) | floor |", "|---|---|---|---|---|---|"]
    bars = []
    for work in works:
        ours = [run["rows"] / run["seconds"] for run in found[work.name][OURS]]
        if not work.peers:
            lines.append(f"| {work.name} | itself | {statistics.median(ours):.0%} | | | {ARITHMETIC:.0%} |")
        floors = {column: floor for column, (_, _, floor) in work.peers.items()}
        for column, floor in (floors | ({BEFORE: None} if arguments["before"] else {})).items():
            theirs = [run["rows"] / run["seconds"] for run in found[work.name][column]]
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            middle = statistics.median(ratios)
            mark = " **(below the floor)**" if floor and middle < floor else ""
            lines.append(
                f"| {work.name} | {column} | {statistics.median(ours):,.1f}/s | {statistics.median(theirs):,.1f}/s | "
                f"**{middle:.2f}** ({min(ratios):.2f} to {max(ratios):.2f}){mark} | {f'{floor:g}' if floor else 'none'} |"
            )
            if column != BEFORE:
                bars.append((f"{work.name}\n{column}", middle, floor))
    table = "\n".join(lines)
    rows = "real data" if arguments["data"] else "embedded reviews"
    head = (
        f"# {machine['processor']}, {machine['cores']} cores, {machine['date']}\n\n"
        f"Commit {machine['commit']}; {machine['versions']}; {rows}. Medians of {len(next(iter(found.values()))[OURS])} interleaved "
        "runs; ratios are of the runs of one round. Batch 32, AdamW, dropout on, up to 128 tokens, pooler.\n\n"
    )
    folder.mkdir(exist_ok=True)
    (folder / f"{kind}.md").write_text(head + table + "\n", encoding="utf-8")
    (folder / f"{kind}.json").write_text(
        json.dumps({"machine": machine, "runs": found}, indent=1) + "\n", encoding="utf-8"
    )
    if bars:
        draw(bars, folder / f"{kind}.png")
    return head + table


def describe_machine() -> dict:
    """Processor, cores, commit, versions."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    ) if Path("/proc/cpuinfo").exists() else platform.machine()  # fmt: skip
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "date": str(datetime.date.today()),
        "commit": subprocess.run(git, capture_output=True, text=True).stdout.strip(),
        "versions": ", ".join(
            f"{name} {metadata.version(name)}" for name in ("tensorflow", "tf-keras", "tf-models-official")
        ),
    }


def draw(bars: list[tuple[str, float, float | None]], path: Path) -> None:
    """Ratios as bars with their floors."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.55 * len(bars) + 1.2))
    heights = range(len(bars))
    axes.barh(heights, [ratio for _, ratio, _ in bars], color="#4477aa")
    floors = [(floor, height) for height, (_, _, floor) in enumerate(bars) if floor]
    axes.scatter(*zip(*floors, strict=True), marker="|", s=250, color="#cc3311", label="floor", zorder=3)
    for height, (_, ratio, floor) in zip(heights, bars, strict=True):
        beside = (max(ratio, floor or 0), height)
        axes.annotate(f"{ratio:.2f}", beside, xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(heights, [name for name, _, _ in bars], fontsize=7)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(right=1.4 * max(ratio for _, ratio, _ in bars))  # room for the longest bar's figure
    axes.invert_yaxis()
    axes.set_xlabel("how many times as fast bertexp is as the peer")
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
