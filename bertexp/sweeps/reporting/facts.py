"""What a sweep's report computes from its summary: spans of work, values found, numbers as text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bertexp.interfaces import RunState
from bertexp.sweeps.work.summary import SweepSummary, TrialRow


@dataclass(frozen=True)
class Span:
    """The time that a worker had a trial, in UNIX seconds; ``open`` where its end is a guess."""

    worker: str
    number: int
    state: str  # of the trial
    begin: float
    end: float
    open: bool


@dataclass(frozen=True)
class WorkerFacts:
    """What one worker did."""

    name: str
    trials: int
    busy: float  # seconds
    share: float  # busy of the time between the sweep's first start and last known moment


def found_value(row: TrialRow) -> float | None:
    """The first objective where the trial completed, else its last report; ``None`` where neither is a finite number."""
    known = [value for _, value in sorted(row.reports.items()) if math.isfinite(value)]
    if row.state == RunState.COMPLETED:
        known = [value for value in row.values[:1] if math.isfinite(value)]
    return known[-1] if known and row.state != RunState.FAILED else None


def find_spans(summary: SweepSummary) -> list[Span]:
    """Every segment of every trial.

    An open one ends, as far as is known, where the trial's next one begins (its worker died, another took over), and
    the last one of a trial at the sweep's last known moment (it is at work, or died).
    """
    spans = []
    moments = [time for row in summary.trials for _, *times in row.segments for time in times if time is not None]
    for row in summary.trials:
        nexts = [begin for _, begin, _ in row.segments[1:]] + [max(moments, default=0.0)]
        for (worker, begin, end), upper in zip(row.segments, nexts, strict=False):
            spans.append(Span(worker, row.number, row.state, begin, upper if end is None else end, end is None))
    return spans


def find_workers(summary: SweepSummary) -> list[WorkerFacts]:
    """The workers, the busiest first; the time of open spans is counted."""
    spans = find_spans(summary)
    whole = max((span.end for span in spans), default=0.0) - min((span.begin for span in spans), default=0.0)
    own: dict[str, list[Span]] = {}
    for span in spans:
        own.setdefault(span.worker, []).append(span)
    facts = []
    for name, parts in own.items():
        busy = sum(part.end - part.begin for part in parts)
        facts.append(WorkerFacts(name, len({part.number for part in parts}), busy, busy / max(whole, 1e-9)))
    return sorted(facts, key=lambda worker: -worker.busy)


def find_front(summary: SweepSummary) -> list[TrialRow]:
    """The best trials: one, or the Pareto front."""
    return [summary.trials[number] for number in summary.best]


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
