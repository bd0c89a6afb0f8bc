"""A sweep as plain data: what its report, its table and its MLflow run are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bertexp.config.schema import SweepConfig
from bertexp.config.store import run_line
from bertexp.interfaces import RunState
from bertexp.sweeps.space import Point
from bertexp.sweeps.spec import SweepSpec, choose_sampler
from bertexp.sweeps.work.study import SweepStudy, state_of_trial


@dataclass(frozen=True)
class TrialRow:
    """One trial; times are UNIX seconds."""

    number: int
    state: RunState
    point: Point  # by dotted name
    values: tuple[float, ...] = ()  # one per objective where completed
    reports: Mapping[int, float] = field(default_factory=dict)  # validation index from 1 -> first objective's value
    steps: tuple[int, int] | None = None  # optimizer steps done, of how many
    segments: tuple[tuple[str, float, float | None], ...] = ()  # (worker, begin, end): one per start of the trial
    seed_values: tuple[tuple[float, ...], ...] = ()  # per seed, one per objective; empty where there is one seed
    reason: str = ""
    derived: tuple[str, ...] = ()  # overrides that followed from the data, such as how often a pruned trial validates

    @property
    def seconds(self) -> float:
        """Time that workers spent on it."""
        return sum(end - begin for _, begin, end in self.segments if end is not None)


@dataclass(frozen=True)
class SweepSummary:
    """A sweep as it stands."""

    spec: SweepSpec
    sampler: str
    pruner: str
    trials: tuple[TrialRow, ...]
    best: tuple[int, ...]  # trial numbers: one, the Pareto front of several objectives, or none yet
    local: tuple[str, ...] = ()  # overrides that say where to write

    @property
    def best_row(self) -> TrialRow | None:
        """The (first) best trial."""
        return self.trials[self.best[0]] if self.best else None

    @property
    def best_overrides(self) -> list[str]:
        """The overrides that make the best trial's run again, test and export included; of several seeds the best one's."""
        row = self.best_row
        if row is None:
            return []
        seeds = [self.spec.base_seed + best_seed(row.seed_values, self.spec.directions[0])] if row.seed_values else []
        words = [*self.spec.trial_overrides(row.point, self.local), *row.derived]
        return words + [f"run.seed={seed}" for seed in seeds]

    @property
    def best_command(self) -> str:
        """The same as a line for the shell."""
        return run_line(*self.best_overrides)

    @property
    def step_share(self) -> float:
        """Optimizer steps done by ended trials, as a share of those that none pruned would have done."""
        ended = [
            row
            for row in self.trials
            if row.state in (RunState.COMPLETED, RunState.PRUNED) and row.steps and row.steps[1]
        ]
        return sum(row.steps[0] for row in ended if row.steps) / max(sum(row.steps[1] for row in ended if row.steps), 1)

    @property
    def seconds_saved(self) -> float:
        """Time that pruned trials would have taken to their ends at their own pace."""
        pruned = [row for row in self.trials if row.state == RunState.PRUNED and row.steps and row.steps[0]]
        return sum(row.seconds * (row.steps[1] / row.steps[0] - 1.0) for row in pruned if row.steps)


def best_seed(seed_values: Sequence[Sequence[float]], direction: str) -> int:
    """The place of the seed with the best first objective."""
    sign = 1 if direction == "maximize" else -1
    return max(range(len(seed_values)), key=lambda index: sign * seed_values[index][0])


def summarize(study: SweepStudy, rules: SweepConfig, local: list[str]) -> SweepSummary:
    """Reads the study as it stands."""
    rows, trials = [], study.trials
    for trial in trials:
        facts = trial.user_attrs
        rows.append(
            TrialRow(
                number=trial.number,
                state=state_of_trial(trial),
                point={name: trial.params[name] for name in study.spec.space.names if name in trial.params},
                # of a pruned trial Optuna gives the last report as its value
                values=tuple(trial.values or ()) if trial.state.name == "COMPLETE" else (),
                reports=dict(trial.intermediate_values),
                steps=tuple(facts["steps"]) if facts.get("steps") else None,
                segments=tuple(tuple(part) for part in facts.get("segments", ())),
                seed_values=tuple(tuple(values) for values in facts.get("seed_values", ())),
                reason=facts.get("reason", ""),
                derived=tuple(facts.get("derived", ())),
            )
        )
    best = tuple(trial.number for trial in study.best_of(trials))
    sampler = choose_sampler(rules, study.spec.space)
    return SweepSummary(study.spec, sampler, rules.pruner, tuple(rows), best, tuple(local))
