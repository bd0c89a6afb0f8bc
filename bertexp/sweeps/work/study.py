"""A sweep's study: trials that are numbered once, worked on by one worker at a time, and end in a state."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from bertexp.config.schema import SweepConfig
from bertexp.interfaces import RunState
from bertexp.sweeps.samplers import KEPT, build_pruner
from bertexp.sweeps.space import Point
from bertexp.sweeps.spec import SweepSpec
from bertexp.sweeps.storage import Lock, open_storage
from bertexp.system.credentials import hide
from bertexp.system.identity import is_free, new_lease, renewed, worker_name

ENDS = {RunState.COMPLETED: TrialState.COMPLETE, RunState.PRUNED: TrialState.PRUNED, RunState.FAILED: TrialState.FAIL}
MOST_DEATHS = 5
_SPEC, _LEASE, _SEGMENTS, _FINAL = "spec", "lease", "segments", "final_lease"


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on, begun by it or by a worker that is gone."""

    trial: optuna.Trial
    point: Point

    @property
    def number(self) -> int:
        """The trial's number, from 0, without gaps."""
        return self.trial.number


@dataclass(frozen=True)
class Outcome:
    """How a trial ended; ``values`` has one number per objective where it completed."""

    state: RunState
    values: tuple[float, ...] = ()
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)  # what else the study keeps of it, JSON-able


def state_of_trial(trial: FrozenTrial) -> RunState:
    """What Optuna's word for it means; a trial that is not ended runs or waits for a worker."""
    return next((state for state, end in ENDS.items() if end == trial.state), RunState.RUNNING)


class SweepStudy:
    """The shared record of a sweep.

    All changes of several steps are made under one lock, so any number of workers, on any number of machines, draw
    every number once. A trial in work carries a lease; one whose holder is dead is taken over, not started anew.
    """

    def __init__(self, study: optuna.Study, locked: Lock, lease_seconds: float):
        self.study, self._locked, self._lease_seconds = study, locked, lease_seconds
        self.spec = SweepSpec.from_dict(study.user_attrs[_SPEC])
        self._pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        self._rule = ""

    @classmethod
    def create(cls, folder: Path, sweep: SweepConfig, spec: SweepSpec) -> SweepStudy:
        """Begins the study of ``spec``, or goes on with it.

        Raises:
            ConfigError: a study of that name holds another sweep; the message lists the differences.
        """
        storage, locked = open_storage(folder, sweep.storage)
        with locked():
            study = optuna.create_study(
                storage=storage, study_name=spec.name, directions=list(spec.directions), load_if_exists=True
            )
            if _SPEC not in study.user_attrs:
                study.set_user_attr(_SPEC, spec.as_dict())
        made = cls(study, locked, sweep.lease_seconds)
        spec.require_same(made.spec)
        return made

    @classmethod
    def open(cls, folder: Path, sweep: SweepConfig) -> SweepStudy:
        """The study that ``create`` made, for a worker."""
        storage, locked = open_storage(folder, sweep.storage)
        opened = cls(optuna.load_study(storage=storage, study_name=sweep.name), locked, sweep.lease_seconds)
        opened._pruner = build_pruner(sweep.pruner, opened.spec.reports)
        opened._rule = f"; {KEPT[sweep.pruner]}" if sweep.pruner in KEPT else ""
        return opened

    def locked(self) -> AbstractContextManager[None]:
        """Keeps every other worker from changing the study meanwhile."""
        return self._locked()

    # ------------------------------------------------------------- the trials

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them as they stand now, by number."""
        return self.study.get_trials(deepcopy=False)

    def count(self, *states: TrialState) -> int:
        """How many trials are in one of ``states``."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def ended(self) -> int:
        """How many trials have come to an end, whichever."""
        return self.count(*ENDS.values())

    def best_of(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The best completed one of ``trials``, or, of several objectives, the Pareto front; empty before the first.

        They are given, for what is decided by the best of them must be decided over the same trials.
        """
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        signs = [1 if direction == "maximize" else -1 for direction in self.spec.directions]
        values = {
            trial.number: [sign * value for sign, value in zip(signs, trial.values, strict=True)] for trial in done
        }
        if len(signs) == 1:
            return sorted(done, key=lambda trial: (-values[trial.number][0], trial.number))[:1]

        def is_beaten(trial: FrozenTrial) -> bool:
            own = values[trial.number]
            return any(own != other and all(map(operator.le, own, other)) for other in values.values())

        return [trial for trial in done if not is_beaten(trial)]

    # --------------------------------------------------------------- claiming

    def take(self, limit: int, sampler_for: Callable[[int], optuna.samplers.BaseSampler]) -> Claim | None:
        """A trial to work on: one whose worker is gone, else a new one while there are fewer than ``limit``."""
        with self._locked():
            trials = self.trials
            for frozen in trials:
                if frozen.state == TrialState.RUNNING and is_free(frozen.user_attrs.get(_LEASE)):
                    if self._end_deadly(frozen):
                        continue
                    self.study.sampler = sampler_for(frozen.number)  # it may have died before all values were drawn
                    return self._claim(optuna.Trial(self.study, frozen._trial_id))
            if len(trials) >= limit:
                return None
            self.study.sampler = sampler_for(len(trials))
            return self._claim(self.study.ask())

    def _end_deadly(self, frozen: FrozenTrial) -> bool:
        """Ends a trial that took too many workers with it, such as one that needs more memory than there is."""
        deaths = sum(end is None for _, _, end in frozen.user_attrs.get(_SEGMENTS, []))
        if deaths < MOST_DEATHS:
            return False
        trial = optuna.Trial(self.study, frozen._trial_id)
        trial.set_user_attr(
            "reason", f"{deaths} workers died in it; look for the end of its run.log, and at the memory"
        )
        self.study.tell(trial, state=TrialState.FAIL)
        return True

    def _claim(self, trial: optuna.Trial) -> Claim:
        point = self.spec.space.suggest(trial)
        self._renew(trial)
        segments = [*trial.user_attrs.get(_SEGMENTS, []), [worker_name(), time.time(), None]]
        trial.set_user_attr(_SEGMENTS, segments)
        return Claim(trial, point)

    def _renew(self, trial: optuna.Trial) -> None:
        trial.set_user_attr(_LEASE, new_lease(self._lease_seconds))

    @contextmanager
    def held(self, claim: Claim) -> Iterator[None]:
        """Renews the claim's lease; where the body raises without having told an end, the trial is given back."""
        try:
            with renewed(lambda: self._renew(claim.trial), self._lease_seconds / 4):
                yield
        except BaseException:
            if not self._frozen(claim).state.is_finished():
                self._close_segment(claim)
                claim.trial.set_user_attr(_LEASE, None)
            raise

    # ---------------------------------------------------------------- pruning

    def report(self, claim: Claim, index: int, value: float) -> str | None:
        """Records the trial's ``index``-th validation; returns why the pruner ends it, or ``None`` to go on.

        The pruner compares validations of the same index, so trials of different lengths can be compared.
        """
        if index not in self._frozen(claim).intermediate_values:  # a trial that goes on may report one again
            claim.trial.report(value, index)
        if not self._pruner.prune(self.study, self._frozen(claim)):
            return None
        there = [t.intermediate_values[index] for t in self.trials if index in t.intermediate_values]
        up = self.spec.directions[0] == "maximize"
        better = sum(other > value if up else other < value for other in there)
        name = self.spec.objectives[0]
        return (
            f"{name} {value:.4f} is number {better + 1} of {len(there)} trials there (best {(max if up else min)(there):.4f}, "
            f"median {statistics.median(there):.4f}){self._rule}"
        )

    # ------------------------------------------------------ telling the ends

    def tell(self, claim: Claim, outcome: Outcome) -> None:
        """Ends a trial, unless this worker slept so long that another one took the trial over and ended it."""
        if self._frozen(claim).state.is_finished():
            return
        self._close_segment(claim)
        for key, value in hide(outcome.facts | {"reason": outcome.reason}).items():
            claim.trial.set_user_attr(key, value)
        values = list(outcome.values) if outcome.state == RunState.COMPLETED else None
        self.study.tell(claim.trial, values, ENDS[outcome.state])

    def note(self, claim: Claim, key: str, value: Any) -> None:
        """Keeps a JSON-able fact about a trial in work."""
        claim.trial.set_user_attr(key, hide(value))

    def _close_segment(self, claim: Claim) -> None:
        *done, (worker, begun, _) = claim.trial.user_attrs[_SEGMENTS]
        claim.trial.set_user_attr(_SEGMENTS, [*done, [worker, begun, time.time()]])

    def _frozen(self, claim: Claim) -> FrozenTrial:
        return self.trials[claim.number]

    # ------------------------------------------------------ of the whole sweep

    def remember(self, key: str, value: Any) -> None:
        """Keeps a JSON-able fact about the whole sweep."""
        self.study.set_user_attr(key, hide(value))

    def recall(self, key: str) -> Any:
        """What ``remember`` kept, or ``None``."""
        return self.study.user_attrs.get(key)

    def is_done(self, limit: int) -> bool:
        """Whether ``limit`` trials have ended and the sweep's end is written."""
        return self.ended >= limit and self.recall(_FINAL) == self.ended

    @property
    def is_being_finished(self) -> bool:
        """Whether a living worker writes the sweep's end, for which it reads the best trials' checkpoints."""
        lease = self.recall(_FINAL)
        return isinstance(lease, dict) and not is_free(lease)

    @contextmanager
    def finishing(self) -> Iterator[bool]:
        """Whether this worker is the one to write the sweep's end; false where another, living, does or did.

        An end that was written for fewer trials than there are now is written anew.
        """
        with self._locked():
            lease, ended = self.recall(_FINAL), self.ended
            mine = (is_free(lease) if isinstance(lease, dict) or lease is None else lease < ended) and ended > 0
            if mine:
                self.remember(_FINAL, new_lease(self._lease_seconds))
        if not mine:
            yield False
            return
        try:
            with renewed(lambda: self.remember(_FINAL, new_lease(self._lease_seconds)), self._lease_seconds / 4):
                yield True
        except BaseException:
            self.remember(_FINAL, None)
            raise
        self.remember(_FINAL, ended)
