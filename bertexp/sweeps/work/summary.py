"""A sweep as plain data: what its report, its table and its MLflow run are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optuna.distributions import BaseDistribution

from bertexp.config.schema import SweepConfig
from bertexp.config.store import run_line
from bertexp.interfaces import RunState
from bertexp.sweeps.space import Point
from bertexp.sweeps.spec import SweepSpec
from bertexp.sweeps.work.study import ENDS, RETRIES, SweepStudy


@dataclass(frozen=True)
class TrialSummary:
    """One trial; times are UNIX seconds."""

    number: int
    state: RunState
    point: Point  # by dotted name
    values: tuple[float, ...] = ()  # one per objective where completed
    reports: Mapping[int, float] = field(default_factory=dict)  # validation index from 1 -> first objective's value
    steps: tuple[int, int] = (0, 0)  # optimizer steps done, of how many
    segments: tuple[tuple[str, float, float | None], ...] = ()  # (worker, begin, end): one per start of the trial
    seed_values: tuple[tuple[float, ...], ...] = ()  # per seed, one per objective; empty where there is one seed
    reason: str = ""
    derived: tuple[str, ...] = ()  # overrides that followed from the data, such as how often a pruned trial validates
    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)  # what the point was drawn from
    retries: int | None = None  # the number of the failed trial whose point it tries again

    @property
    def seconds(self) -> float:
        """Time that workers spent on it."""
        return sum(end - begin for _, begin, end in self.segments if end is not None)

    @property
    def curve(self) -> dict[int, float]:
        """The reports that are finite numbers, in order."""
        return {index: value for index, value in sorted(self.reports.items()) if math.isfinite(value)}

    @property
    def value(self) -> float | None:
        """The first objective where the trial completed, else its last report; ``None`` where neither is a finite number."""
        known = list(self.curve.values()) if self.state != RunState.FAILED else []
        if self.state == RunState.COMPLETED:
            known = [value for value in self.values[:1] if math.isfinite(value)]
        return known[-1] if known else None


@dataclass(frozen=True)
class Span:
    """The time that a worker had a trial, in UNIX seconds; ``open`` where its end is a guess."""

    worker: str
    number: int
    state: RunState  # of the trial
    begin: float
    end: float
    open: bool


@dataclass(frozen=True)
class SweepSummary:
    """A sweep as it stands."""

    spec: SweepSpec
    rules: SweepConfig
    trials: tuple[TrialSummary, ...]
    best: tuple[int, ...]  # trial numbers: one, the Pareto front of several objectives, or none yet
    local: tuple[str, ...] = ()  # overrides that say where to write

    @property
    def front(self) -> list[TrialSummary]:
        """The best trials: one, or the Pareto front."""
        return [self.trials[number] for number in self.best]

    @property
    def winner(self) -> TrialSummary | None:
        """The best trial, if one alone is best."""
        return self.front[0] if len(self.best) == 1 else None

    def count(self, state: RunState) -> int:
        """How many trials are in ``state``."""
        return sum(trial.state == state for trial in self.trials)

    def valued(self, *states: RunState) -> list[TrialSummary]:
        """The trials in ``states`` that have a value."""
        return [trial for trial in self.trials if trial.state in states and trial.value is not None]

    def objective_label(self, index: int) -> str:
        """An axis's words."""
        word = "higher" if self.spec.directions[index] == "maximize" else "lower"
        return f"{self.spec.objectives[index]} ({word} is better)"

    def best_seed(self, trial: TrialSummary) -> int:
        """The index of the seed with the best first objective; 0 where there is one seed."""
        values = [of_seed[0] for of_seed in trial.seed_values] or [0.0]
        return values.index(max(values) if self.spec.maximizes else min(values))

    @property
    def best_command(self) -> str:
        """The line that makes the best trial's run again, test and export included; of several seeds the best one's."""
        trial = self.front[0]
        seed = [f"run.seed={self.spec.base_seed + self.best_seed(trial)}"] if trial.seed_values else []
        return run_line(*self.spec.trial_overrides(trial.point, self.local), *trial.derived, *seed)

    @property
    def step_share(self) -> float:
        """Optimizer steps done by ended trials, as a share of those that none pruned would have done."""
        ended = [trial.steps for trial in self.trials if trial.state in (RunState.COMPLETED, RunState.PRUNED)]
        return sum(done for done, _ in ended) / max(sum(whole for _, whole in ended), 1)

    @property
    def seconds_saved(self) -> float:
        """Time that pruned trials would have taken to their ends at their own pace."""
        pruned = [trial for trial in self.trials if trial.state == RunState.PRUNED and trial.steps[0]]
        return sum(trial.seconds * (trial.steps[1] / trial.steps[0] - 1.0) for trial in pruned)

    @property
    def spans(self) -> list[Span]:
        """Every segment of every trial.

        An open one ends, as far as is known, where the trial's next one begins (its worker died, another took over), and
        the last one of a trial at the sweep's last known moment (it is at work, or died).
        """
        spans = []
        moments = [time for trial in self.trials for _, *times in trial.segments for time in times if time is not None]
        for trial in self.trials:
            nexts = [begin for _, begin, _ in trial.segments[1:]] + [max(moments, default=0.0)]
            for (worker, begin, end), upper in zip(trial.segments, nexts, strict=False):
                spans.append(Span(worker, trial.number, trial.state, begin, upper if end is None else end, end is None))
        return spans


def summarize(study: SweepStudy, local: Sequence[str] = ()) -> SweepSummary:
    """Reads the study as it stands."""
    summaries, trials = [], study.trials
    states = {end: state for state, end in ENDS.items()}
    for trial in trials:
        facts = trial.user_attrs
        summaries.append(
            TrialSummary(
                number=trial.number,
                state=states.get(trial.state, RunState.RUNNING),  # or it waits for a worker
                point={name: trial.params[name] for name in study.spec.space.names if name in trial.params},
                # of a pruned trial Optuna gives the last report as its value
                values=tuple(trial.values or ()) if trial.state.name == "COMPLETE" else (),
                reports=dict(trial.intermediate_values),
                steps=tuple(facts.get("steps", (0, 0))),
                segments=tuple(tuple(part) for part in facts.get("segments", ())),
                seed_values=tuple(tuple(values) for values in facts.get("seed_values", ())),
                reason=facts.get("reason", ""),
                derived=tuple(facts.get("derived", ())),
                distributions=trial.distributions,
                retries=facts.get(RETRIES),
            )
        )
    best = tuple(trial.number for trial in study.best_of(trials))
    return SweepSummary(study.spec, study.rules, tuple(summaries), best, tuple(local))
