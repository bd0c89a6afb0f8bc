"""What a sweep prints: its plan before the start, a row for every trial that ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """The sweep in words: objective, space, rules, place."""
    trials = count_trials(sweep, spec.space)
    rules = [f"{trials} trials", f"sampler {choose_sampler(sweep, spec.space)}", f"pruner {sweep.pruner}"]
    rules += [f"{spec.seeds} seeds each, the objective is their mean"] if spec.seeds > 1 else []
    rules += [f"{workers} workers"] if workers > 1 else []
    rules += [f"no trial starts after {sweep.timeout_seconds:g} s"] if sweep.timeout_seconds else []
    lines = [labelled("sweep", spec.name), labelled("", ", ".join(rules))]
    for name, direction in zip(spec.objectives, spec.directions, strict=True):
        lines.append(labelled("objective", f"{name}, {direction}, of the best checkpoint"))
    for index, row in enumerate(aligned(list(spec.space.describe().items()))):
        lines.append(labelled("" if index else "space", row))
    first = given_point(sweep, spec, 0) if spec.first else None
    if "recipe" in sweep.start_from and len(spec.first) < len(sweep.start_from):
        lines.append(labelled("first", "not the recipe's own values, for they lie outside of the space"))
    if first is not None:
        lines.append(labelled("first", "  ".join(f"{name}={value}" for name, value in first.items())))
    return "\n".join([*lines, labelled("folder", folder)])


class TrialTable:
    """Rows of equal columns under one head."""

    def __init__(self, spec: SweepSpec):
        short = [name.split(".")[-1] for name in spec.space.names]
        names = spec.space.names if len(set(short)) < len(short) else short
        heads = ["trial", "state", *spec.objectives, *names, "steps", "seconds", "best", "left"]
        self._widths = [max(len(head), least) for head, least in zip(heads, self._least(spec), strict=True)]
        self.head = align(heads, self._widths, left=0)

    def row(
        self,
        number: int,
        state: str,
        values: Sequence[float],
        spreads: Sequence[float],
        point: Mapping[str, object],
        steps: Sequence[int],
        seconds: float,
        best: str,
        left_seconds: float | None,
    ) -> str:
        """One ended trial.

        Args:
            spreads: standard deviations over seeds, where there are several.
            best: the best so far, in words.
            left_seconds: the time that the other trials will take.
        """
        shown = [f"{value:.4f}" for value in values] or ["-"] * (len(self._widths) - len(point) - 6)
        shown = [f"{text} ±{spread:.4f}" for text, spread in zip(shown, spreads, strict=True)] if spreads else shown
        left = "" if left_seconds is None else show_seconds(left_seconds)
        cells = [str(number), state, *shown, *map(_short, point.values()), "/".join(map(str, steps))]
        return align([*cells, f"{seconds:.0f}", best, left], self._widths, left=0)

    @staticmethod
    def _least(spec: SweepSpec) -> list[int]:
        values = [max(len(_short(end)) for end in dimension.ends()) for dimension in spec.space.dimensions]
        return [
            5,
            9,
            *([8 if spec.seeds == 1 else 14] * len(spec.objectives)),
            *(max(8, width) for width in values),
            9,
            7,
            12,
            8,
        ]


def describe_end(summary: SweepSummary, folder: Path) -> str:
    """The last lines: the best trial, what pruning saved, what to paste."""
    lines = [""]
    for number in summary.best:
        row = summary.trials[number]
        values = [f"{name} {value:.4f}" for name, value in zip(summary.spec.objectives, row.values, strict=True)]
        point = [
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in row.point.items()
        ]
        lines.append(labelled("" if len(lines) > 1 else "best", f"trial {number}  {'  '.join([*values, *point])}"))
    if not summary.best:
        lines.append(labelled("best", "no trial has completed"))
    pruned = sum(row.state == RunState.PRUNED for row in summary.trials)
    if pruned:
        saved = show_seconds(summary.seconds_saved)
        lines.append(labelled("pruned", f"{pruned} of {len(summary.trials)} trials, {saved} saved"))
    lines.append(labelled("report", folder / "report.html"))
    if summary.best:
        lines.append(labelled("best again", summary.best_command))
        lines.append(labelled("compare", command_line("compare", str(folder))))
    return "\n".join(lines)


def show_seconds(seconds: float) -> str:
    """Writes 5400 as 1.5 h."""
    for unit, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
