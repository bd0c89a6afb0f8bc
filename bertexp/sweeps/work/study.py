"""A sweep's study: trials that are numbered once, worked on by one worker at a time, and end in a state."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from bertexp.config.schema import SweepConfig
from bertexp.errors import TrialTaken
from bertexp.interfaces import RunState
from bertexp.sweeps.samplers import KEPT, build_pruner, build_sampler
from bertexp.sweeps.spec import SweepSpec
from bertexp.sweeps.storage import open_storage
from bertexp.system.credentials import hide
from bertexp.system.identity import is_free, is_own, new_lease, renewed, worker_name

ENDS = {RunState.COMPLETED: TrialState.COMPLETE, RunState.PRUNED: TrialState.PRUNED, RunState.FAILED: TrialState.FAIL}
MOST_DEATHS = 5
_SPEC, _LEASE, _SEGMENTS, _FINAL, RETRIES = "spec", "lease", "segments", "final_lease", "retries"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a trial ended; ``values`` has one number per objective where it completed."""

    state: RunState
    values: tuple[float, ...] = ()
    reason: str = ""


class SweepStudy:
    """The shared record of a sweep; a trial that this process works on, begun by it or by another, is Optuna's ``Trial``.

    All changes of several steps are made under one lock, so any number of workers, on any number of machines, draw
    every number once. A trial in work carries a lease; one whose holder is dead is taken over, not started anew.
    """

    def __init__(self, folder: Path, rules: SweepConfig, spec: SweepSpec | None = None):
        """Opens the study that ``rules`` name; with ``spec``, begins it or goes on with it.

        Raises:
            ConfigError: a study of that name holds another sweep; the message lists the differences.
        """
        self.folder, self.rules = folder, rules
        # under ``locked`` no other worker changes the study
        storage, self.locked = open_storage(folder, rules.storage)
        if spec is None:
            self.study = optuna.load_study(storage=storage, study_name=rules.name)
            self.spec = SweepSpec.from_dict(self.study.user_attrs[_SPEC])
        else:
            with self.locked():
                self.study = optuna.create_study(
                    storage=storage, study_name=spec.name, directions=list(spec.directions), load_if_exists=True
                )
                known = self.study.user_attrs.get(_SPEC)
                self.spec = spec.continuing(SweepSpec.from_dict(known)) if known else spec
                if known is None or known.get("settings") != self.spec.settings:
                    self.study.set_user_attr(_SPEC, dataclasses.asdict(self.spec))
        self._taken: set[int] = set()  # trials in work here that another worker has taken over
        self._pruner = build_pruner(rules.pruner, self.spec.reports)

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

    @property
    def failed(self) -> list[FrozenTrial]:
        """The failed trials, without those that are tried again."""
        trials = self.trials
        again = {trial.user_attrs.get(RETRIES) for trial in trials}
        return [trial for trial in trials if trial.state == TrialState.FAIL and trial.number not in again]

    def best_of(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The best completed one of ``trials``, or, of several objectives, the Pareto front; empty before the first.

        They are given, for what is decided by the best of them must be decided over the same trials.
        """
        signs = [1 if direction == "maximize" else -1 for direction in self.spec.directions]
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        values = [tuple(map(operator.mul, signs, trial.values)) for trial in done]
        if len(signs) == 1:
            return [done[values.index(max(values))]] if done else []

        def is_beaten(own: tuple[float, ...]) -> bool:
            return any(own != other and all(map(operator.le, own, other)) for other in values)

        return [trial for trial, own in zip(done, values, strict=True) if not is_beaten(own)]

    # --------------------------------------------------------------- claiming

    def take(self, limit: int) -> optuna.Trial | None:
        """A trial to work on: one whose worker is gone, else a new one while there are fewer than ``limit``."""
        with self.locked():
            trials = self.trials
            for frozen in trials:
                if frozen.state == TrialState.RUNNING and is_free(frozen.user_attrs.get(_LEASE)):
                    if self._end_deadly(frozen):
                        continue
                    if RETRIES not in frozen.user_attrs:  # it may have died before all values were drawn
                        self.study.sampler = build_sampler(self.rules, self.spec, _drawn(trials[: frozen.number]))
                    return self._claim(optuna.Trial(self.study, frozen._trial_id))
            waiting = self.count(TrialState.WAITING)  # to be tried again: `ask` gives these first
            if _drawn(trials) - waiting >= limit:
                return None
            if not waiting:
                self.study.sampler = build_sampler(self.rules, self.spec, _drawn(trials))
            return self._claim(self.study.ask())

    def retry_failed(self) -> int:
        """Has failed trials tried again, if none has completed and nobody is at work; returns how many.

        Each gets a new number, and its point; the failed one stays with its reason.
        """
        with self.locked():
            running = [trial for trial in self.trials if trial.state == TrialState.RUNNING]
            at_work = any(not is_free(trial.user_attrs.get(_LEASE)) for trial in running)
            failed = [] if at_work or self.count(TrialState.COMPLETE) else self.failed
            for trial in failed:
                self.study.enqueue_trial(trial.params, {RETRIES: trial.number})
        return len(failed)

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

    def _claim(self, trial: optuna.Trial) -> optuna.Trial:
        for dimension in self.spec.space.dimensions:
            trial._suggest(dimension.name, dimension.distribution)  # what all of `suggest_int` and its like do
        trial.set_user_attr(_LEASE, new_lease(self.rules.lease_seconds))
        segments = [*trial.user_attrs.get(_SEGMENTS, []), [worker_name(), time.time(), None]]
        trial.set_user_attr(_SEGMENTS, segments)
        return trial

    def renew(self, trial: optuna.Trial) -> None:
        """Prolongs this worker's lease of the trial, or finds that another one has taken the trial over."""
        with self.locked():
            if self._is_held(trial):
                trial.set_user_attr(_LEASE, new_lease(self.rules.lease_seconds))
            else:
                self._taken.add(trial.number)

    def require_held(self, trial: optuna.Trial) -> None:
        """Costs nothing, so that every step can ask.

        Raises:
            TrialTaken: the last ``renew`` found another worker's lease.
        """
        if trial.number in self._taken:
            holder = (self._frozen(trial).user_attrs.get(_LEASE) or {}).get("worker", "another worker")
            raise TrialTaken(
                f"trial {trial.number} goes on with {holder}, which took it over: this worker had not renewed its lease "
                f"for sweep.lease_seconds={self.rules.lease_seconds:g}, as one that sleeps",
                0,
            )

    def _is_held(self, trial: optuna.Trial) -> bool:
        frozen = self._frozen(trial)
        return is_own(frozen.user_attrs.get(_LEASE)) and not frozen.state.is_finished()

    @contextlib.contextmanager
    def held(self, trial: optuna.Trial) -> Iterator[None]:
        """Renews the trial's lease; where the body raises without having told an end, the trial is given back."""
        try:
            with renewed(lambda: self.renew(trial), self.rules.lease_seconds / 4):
                yield
        except BaseException:
            with contextlib.suppress(OSError), self.locked():  # on a full disk the lease runs out
                if self._is_held(trial):
                    self._close_segment(trial)
                    trial.set_user_attr(_LEASE, None)
            raise
        finally:
            self._taken.discard(trial.number)

    def run_folder(self, number: int, index: int) -> Path:
        """Where the run of the ``index``-th seed of a trial lies."""
        trial = self.folder / f"trial-{number:04d}"
        return trial / f"seed-{self.spec.base_seed + index}" if self.spec.seeds > 1 else trial

    # ---------------------------------------------------------------- pruning

    def report(self, trial: optuna.Trial, index: int, value: float) -> str | None:
        """Records the trial's ``index``-th validation; returns why the pruner ends it, or ``None`` to go on.

        The pruner compares validations of the same index, so trials of different lengths can be compared.
        """
        if index not in self._frozen(trial).intermediate_values:  # a trial that goes on may report one again
            trial.report(value, index)
        if not self._pruner.prune(self.study, self._frozen(trial)):
            return None
        there = [t.intermediate_values[index] for t in self.trials if index in t.intermediate_values]
        up = self.spec.maximizes
        better = sum(other > value if up else other < value for other in there)
        rule = KEPT.get(self.rules.pruner, "")
        return (
            f"{self.spec.objectives[0]} {value:.4f} is number {better + 1} of {len(there)} trials there "
            f"(best {(max if up else min)(there):.4f}, median {statistics.median(there):.4f}){rule}"
        )

    # ------------------------------------------------------ telling the ends

    def tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Ends a trial.

        Raises:
            TrialTaken: this worker slept so long that another one took the trial over.
        """
        self.renew(trial)
        self.require_held(trial)
        self._close_segment(trial)
        trial.set_user_attr("reason", hide(outcome.reason))
        values = list(outcome.values) if outcome.state == RunState.COMPLETED else None
        self.study.tell(trial, values, ENDS[outcome.state])

    def note(self, trial: optuna.Trial, key: str, value: Any) -> None:
        """Keeps a JSON-able fact about a trial, unless another worker has taken it over."""
        if self._is_held(trial):
            trial.set_user_attr(key, hide(value))

    def _close_segment(self, trial: optuna.Trial) -> None:
        *done, (worker, begun, _) = trial.user_attrs[_SEGMENTS]
        trial.set_user_attr(_SEGMENTS, [*done, [worker, begun, time.time()]])

    def _frozen(self, trial: optuna.Trial) -> FrozenTrial:
        return self.trials[trial.number]

    # ------------------------------------------------------ of the whole sweep

    def remember(self, key: str, value: Any) -> None:
        """Keeps a JSON-able fact about the whole sweep."""
        self.study.set_user_attr(key, hide(value))

    def recall(self, key: str) -> Any:
        """What ``remember`` kept, or ``None``."""
        return self.study.user_attrs.get(key)

    def is_done(self, limit: int) -> bool:
        """Whether ``limit`` trials have ended, one of them completed, and the sweep's end is written."""
        trials, ended = self.trials, self.ended
        whole = ended == len(trials) and _drawn(trials) >= limit and self.count(TrialState.COMPLETE) > 0
        return whole and self.recall(_FINAL) == ended

    @property
    def is_being_finished(self) -> bool:
        """Whether a living worker writes the sweep's end, for which it reads the best trials' checkpoints."""
        lease = self.recall(_FINAL)
        return isinstance(lease, dict) and not is_free(lease)

    @contextlib.contextmanager
    def finishing(self) -> Iterator[bool]:
        """Whether this worker is the one to write the sweep's end; false where another, living, does or did.

        An end that was written for fewer trials than there are now is written anew.
        """
        with self.locked():
            lease, ended = self.recall(_FINAL), self.ended
            mine = (is_free(lease) if isinstance(lease, dict) or lease is None else lease < ended) and ended > 0
            if mine:
                self.remember(_FINAL, new_lease(self.rules.lease_seconds))
        if not mine:
            yield False
            return
        try:
            with renewed(
                lambda: self.remember(_FINAL, new_lease(self.rules.lease_seconds)), self.rules.lease_seconds / 4
            ):
                yield True
        except BaseException:
            self.remember(_FINAL, None)
            raise
        self.remember(_FINAL, ended)


def _drawn(trials: Sequence[FrozenTrial]) -> int:
    """How many of ``trials`` had a point drawn for them; one that tries a failed trial again has that trial's."""
    return sum(RETRIES not in trial.user_attrs for trial in trials)
