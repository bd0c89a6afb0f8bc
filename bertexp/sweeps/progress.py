"""What a sweep prints: its plan before the start, a line for every trial that ends."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import SweepConfig
from bertexp.config.words import command_line
from bertexp.interfaces import RunState
from bertexp.sweeps.samplers import given_point
from bertexp.sweeps.spec import SweepSpec, choose_sampler, count_trials
from bertexp.system.console import align, aligned, labelled

if TYPE_CHECKING:
    from bertexp.sweeps.work.summary import SweepSummary


def describe_sweep(spec: SweepSpec, sweep: SweepConfig, folder: str, workers: int) -> str:
    """The sweep in words: objective, space, rules, folder."""
    trials = count_trials(sweep, spec.space)
    rules = [f"{trials} trials", f"sampler {choose_sampler(sweep, spec.space)}", f"pruner {sweep.pruner}"]
    rules += [f"{spec.seeds} seeds each, the objective is their mean"] if spec.seeds > 1 else []
    rules += [f"{workers} workers"] if workers > 1 else []
    rules += [f"no trial starts after {sweep.timeout_seconds:g} s"] if sweep.timeout_seconds else []
    lines = [labelled("sweep", spec.name), labelled("", ", ".join(rules))]
    for name, direction in zip(spec.objectives, spec.directions, strict=True):
        lines.append(labelled("objective", f"{name}, {direction}, of the best checkpoint"))
    for index, line in enumerate(aligned(list(spec.space.describe().items()))):
        lines.append(labelled("" if index else "space", line))
    if "recipe" in sweep.start_from and len(spec.first) < len(sweep.start_from):
        lines.append(labelled("first", "not the recipe's own values, for they lie outside of the space"))
    first = given_point(sweep, spec, 0) if spec.first else None
    if first:
        lines.append(labelled("first", "  ".join(f"{name}={value}" for name, value in first.items())))
    return "\n".join([*lines, labelled("folder", folder)])


class TrialTable:
    """Lines of equal columns under one head."""

    def __init__(self, spec: SweepSpec):
        short = [name.split(".")[-1] for name in spec.space.names]
        names = spec.space.names if len(set(short)) < len(short) else short
        ends = [max(len(_short(end)) for end in dimension.ends()) for dimension in spec.space.dimensions]
        columns = [("trial", 5), ("state", 9)]  # heads, and the widths that their cells need
        columns += [(name, 8 if spec.seeds == 1 else 14) for name in spec.objectives]
        columns += [(name, max(8, width)) for name, width in zip(names, ends, strict=True)]
        columns += [("steps", 9), ("seconds", 7), ("best", 12), ("left", 8)]
        self._widths = [max(len(head), width) for head, width in columns]
        self.head = align([head for head, _ in columns], self._widths, left=0)

    def line(self, summary: SweepSummary, number: int) -> str:
        """One ended trial, the best so far, and the time that the trials to come will take."""
        trial, objectives = summary.trials[number], summary.spec.objectives
        values = trial.values or list(trial.curve.values())[-1:]
        shown = [f"{value:.4f}" for value in values] or ["-"] * len(objectives)
        spreads = [statistics.stdev(column) for column in zip(*trial.seed_values, strict=True)]
        shown = [f"{text} ±{spread:.4f}" for text, spread in zip(shown, spreads, strict=True)] if spreads else shown
        best = f"{len(summary.best)} points" if summary.best else ""
        if summary.winner:
            best = f"{summary.winner.values[0]:.4f} ({summary.winner.number})"
        ended = [each for each in summary.trials if each.state != RunState.RUNNING]
        at_work = sum(each.state == RunState.RUNNING and bool(each.segments) for each in summary.trials)
        again = sum(each.retries is not None for each in summary.trials)
        mean = sum(each.seconds for each in ended) / max(len(ended), 1)
        left = mean * (count_trials(summary.rules, summary.spec.space) + again - len(ended)) / (at_work + 1)
        _, begun, end = trial.segments[-1]
        facts = ["/".join(map(str, trial.steps)), f"{(end or begun) - begun:.0f}", best, show_seconds(left)]
        cells = [str(number), trial.state, *shown, *map(_short, trial.point.values()), *facts]
        return align(cells, self._widths, left=0)


def describe_end(summary: SweepSummary, folder: Path) -> str:
    """The last lines of a sweep that has a best trial: this one, what pruning saved, what to paste."""
    lines = [""]
    for trial in summary.front:
        values = [f"{name} {value:.4f}" for name, value in zip(summary.spec.objectives, trial.values, strict=True)]
        values += [f"{name}={_short(value, 4)}" for name, value in trial.point.items()]
        lines.append(labelled("" if len(lines) > 1 else "best", f"trial {trial.number}  {'  '.join(values)}"))
    pruned = summary.count(RunState.PRUNED)
    if pruned:
        saved = show_seconds(summary.seconds_saved)
        lines.append(labelled("pruned", f"{pruned} of {len(summary.trials)} trials, {saved} saved"))
    lines.append(labelled("report", folder / "report.html"))
    lines.append(labelled("best again", summary.best_command))
    lines.append(labelled("compare", command_line("compare", str(folder))))
    return "\n".join(lines)


def show_seconds(seconds: float) -> str:
    """Writes 5400 as 1.5 h."""
    for unit, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def show_value(objective: str, value: float) -> str:
    """An objective's value as text, with its unit where it has one."""
    return f"{value:.2f} ms" if objective.endswith("_ms") else f"{value:.4f}"


def show_setting(value: object) -> str:
    """A setting's value to read, a number in 3 digits: 3.217e-05 becomes 3.22e-5, 0.0001 becomes 1e-4."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _short(value: object, digits: int = 3) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
