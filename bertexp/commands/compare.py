"""``python -m bertexp compare RUN RUN …``: what runs differ in, how good they are, and which differences are real."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertexp.commands import CommandParser
from bertexp.errors import ConfigError
from bertexp.interfaces import RunState
from bertexp.reports.intervals import SMALLEST_CLASS
from bertexp.reports.paired import ALL_PAIRS_UP_TO, Pair, compare_pairs, group_by_rows
from bertexp.runs.comparison import Compared, different_parameters, find_runs
from bertexp.system.console import aligned
from bertexp.system.files import write_text

COLUMNS_UP_TO = 4  # runs; more of them stand one a line
VALUE_WIDTH, PIPE_WIDTH = 32, 120  # characters

EXAMPLES = """\
  python -m bertexp compare last outputs/runs/NAME
  python -m bertexp compare SWEEP --output trials.csv
"""


def main(words: Sequence[str]) -> int:
    """Runs the command; returns its exit status.

    Raises:
        BertexpError: a run is not there, its predictions are damaged, or there is nothing to compare.
    """
    options = _parser().read(words)
    if options.output and Path(options.output).suffix not in (".csv", ".json"):
        raise ConfigError(f"--output {options.output} must end in .csv or .json")
    folders = find_runs(options.runs, options.outputs_dir)
    runs = [Compared(_letter(number), folder) for number, folder in enumerate(folders)]
    different = different_parameters([run.parameters for run in runs])
    pairs, tests = compare_pairs({run.letter: run.predictions for run in runs if run.predictions})

    print("\n".join(_report(runs, different, pairs, tests)))
    if options.output:
        as_text = _as_csv(runs, different) if options.output.endswith(".csv") else _as_json(runs, different, pairs)
        write_text(Path(options.output), as_text)
        print(f"\n{len(runs)} runs in {options.output}")
    return 0


def _report(
    runs: Sequence[Compared], different: Mapping[str, Sequence[Any]], pairs: Sequence[Pair], tests: int
) -> Iterator[str]:
    """The lines that the command prints; ``tests`` is how many p-values were corrected together."""
    if len(runs) <= COLUMNS_UP_TO:
        yield from (f"{run.letter}  {run.folder.shown}" for run in runs)
        yield ""
    if different:
        yield from _table("parameter", {name: _shorten(values) for name, values in different.items()}, runs)
    else:
        yield "no parameter differs"
    cells = {name: [str(run.metrics.get(name, "-")) for run in runs] for name in _metric_names(runs)}
    if cells:
        yield ""
        yield from _table("metric", cells, runs)
    tested = [run for run in runs if run.predictions]
    if any(run.predictions and run.predictions.confusions is not None for run in runs):
        yield f"[low, high]: 95% interval, from the logged predictions; a mean over classes needs {SMALLEST_CLASS} rows of each"
    yield ""
    notes = _notes(runs)
    yield from [*notes, ""] if notes else []
    if not pairs:
        yield "no paired test: no two runs were tested on the same labelled rows"
        return
    yield from aligned([_PAIR_HEAD, *map(_pair_cells, pairs)])
    if len(tested) > ALL_PAIRS_UP_TO:
        yield f"more than {ALL_PAIRS_UP_TO} runs: each is compared with the most accurate one only"
    correction = f", corrected for all {tests} pairs (Holm), as the intervals are" if tests > 1 else ""
    yield f"p: McNemar's exact test{correction}"
    yield "the test is of these trained models on rows like these; another run.seed may turn out otherwise"


def _notes(runs: Sequence[Compared]) -> list[str]:
    """What a reader of the tables must know, a sentence a line."""
    notes = []
    unfinished = [f"{run.letter} ({run.state})" for run in runs if run.state != RunState.COMPLETED]
    if unfinished:
        notes.append(f"not completed: {', '.join(unfinished)}")
    untested = [run.letter for run in runs if not run.predictions]
    if untested:
        notes.append(
            f"without predictions that are right or wrong row by row, hence no interval and no paired test: {', '.join(untested)}"
        )
    tested = {run.letter: run.predictions for run in runs if run.predictions}
    groups = group_by_rows(tested)
    if len(groups) > 1:
        listed = [f"{', '.join(group)} ({len(tested[group[0]].correct):,} rows)" for group in groups]
        notes.append(
            f"no paired test between {' | '.join(listed)}: their test rows differ; run them with the same dataset settings"
        )
    return notes


_PAIR_HEAD = ["pair", "accuracy difference", "95% interval", "right alone", "verdict"]


def _pair_cells(pair: Pair) -> list[str]:
    interval = "no disagreement" if pair.low is None else f"[{pair.low:+.4f}, {pair.high:+.4f}]"
    alone = f"{pair.only_first} : {pair.only_second} rows"
    return [f"{pair.first} - {pair.second}", f"{pair.difference:+.4f}", interval, alone, pair.verdict]


def _table(kind: str, compared: Mapping[str, Sequence[str]], runs: Sequence[Compared]) -> Iterator[str]:
    """Runs as columns or, where they are many, one a line, in as many blocks as the width asks for."""
    columns = [[name, *cells] for name, cells in compared.items()]
    if len(runs) <= COLUMNS_UP_TO:
        yield from aligned([[kind, *(run.letter for run in runs)], *columns])
        return
    side = ["run", *(f"{run.letter:<2} {name}" for run, name in zip(runs, _names(runs), strict=True))]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH
    for number, block in enumerate(_blocks(columns, width - max(map(len, side)))):
        yield from [""] if number else []
        yield from aligned(list(zip(side, *block, strict=True)))


def _blocks(columns: Sequence[Sequence[str]], room: int) -> Iterator[list[Sequence[str]]]:
    """Columns in groups that fit into ``room`` characters; one that never does stands alone."""
    block: list[Sequence[str]] = []
    left = room
    for column in columns:
        needed = 2 + max(map(len, column))
        if block and needed > left:
            yield block
            block, left = [], room
        block.append(column)
        left -= needed
    yield block


def _names(runs: Sequence[Compared]) -> list[str]:
    """The last part of each folder, or as many as tell the runs apart."""
    paths = [run.folder.path.parts for run in runs]
    depth = 1
    while len({path[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path[-depth:]) for path in paths]


def _letter(number: int) -> str:
    """A to Z, then AA, AB, … as columns of a spreadsheet are called."""
    before, own = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("A") + own)


def _metric_names(runs: Sequence[Compared]) -> list[str]:
    """Of all runs, those with an interval first."""
    metrics = [metric for run in runs for metric in run.metrics.items()]
    with_interval = {name for name, metric in metrics if metric.low is not None}
    return sorted({name for name, _ in metrics}, key=lambda name: (name not in with_interval, name))


def _shorten(values: Sequence[Any]) -> list[str]:
    """The values of one setting, rounded and cut in the middle unless that made two of them look the same."""
    full = [_shown(value) for value in values]
    rounded = [f"{value:.5g}" if isinstance(value, float) else text for value, text in zip(values, full, strict=True)]
    head = VALUE_WIDTH // 2 - 1
    short = [text if len(text) <= VALUE_WIDTH else f"{text[:head]}…{text[-head:]}" for text in rounded]
    return short if len(set(short)) == len(set(full)) else full


def _shown(value: Any) -> str:
    """A value as on the command line: null, true, 3e-05, text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_csv(runs: Sequence[Compared], different: Mapping[str, Sequence[Any]]) -> str:
    """One line a run; an interval is in two columns, ``test/accuracy_low`` and ``test/accuracy_high``."""
    lines = []
    for index, run in enumerate(runs):
        line: dict[str, Any] = {"run": run.letter, "folder": run.folder.shown, "state": run.state}
        line |= {name: _shown(values[index]) for name, values in different.items()}
        for name, metric in run.metrics.items():
            line |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
        lines.append(line)
    measured = [f"{name}{end}" for name in _metric_names(runs) for end in ("", "_low", "_high")]
    names = [
        "run",
        "folder",
        "state",
        *different,
        *(n for n in measured if any(line.get(n) is not None for line in lines)),
    ]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _as_json(runs: Sequence[Compared], different: Mapping[str, Sequence[Any]], pairs: Sequence[Pair]) -> str:
    content = {
        "runs": [
            {
                "run": run.letter,
                "folder": str(run.folder.path),
                "state": run.state,
                "parameters": {name: values[index] for name, values in different.items()},
                "metrics": {name: dataclasses.asdict(metric) for name, metric in run.metrics.items()},
            }
            for index, run in enumerate(runs)
        ],
        "pairs": [dataclasses.asdict(pair) | {"real": pair.real} for pair in pairs],
        "notes": _notes(runs),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _parser() -> CommandParser:
    parser = CommandParser("compare", "runs", EXAMPLES)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="last, a run id, a run folder, a sweep's name or folder")
    parser.add_argument(
        "--output", metavar="FILE", help="write .json, or .csv (a line a run, without the paired tests)"
    )
    return parser
