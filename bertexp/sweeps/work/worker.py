"""A worker: takes trials from the study until none is left; the last one tests and ships the best and writes the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial, Trial, TrialState

from bertexp.errors import SweepFailed, TrialTaken
from bertexp.sweeps.progress import TrialTable
from bertexp.sweeps.spec import count_trials
from bertexp.sweeps.work.study import Outcome, SweepStudy
from bertexp.sweeps.work.summary import summarize
from bertexp.system.console import say

POLL_SECONDS = 2.0
_RETRY = "Mend the cause and give the same command again, which tries the failed trials anew"


def pull_trials(study: SweepStudy, run_trial: Callable[[Trial], Outcome]) -> None:
    """Runs trials as long as there are any, and waits for those of other workers, to take them over if these die.

    Raises:
        SweepFailed: more than ``sweep.max_failures`` trials have failed.
        RunInterrupted: a signal came; the trial under way was given back.
    """
    rules, started = study.rules, time.monotonic()
    table = TrialTable(study.spec)
    head_shown = False
    while True:
        _stop_after_failures(study)
        late = rules.timeout_seconds is not None and time.monotonic() - started > rules.timeout_seconds
        trial = study.take(0 if late else count_trials(rules, study.spec.space))
        if trial is None:
            if study.count(TrialState.RUNNING) == 0:
                return
            time.sleep(POLL_SECONDS)
            continue
        if not head_shown:
            say(f"\n{table.head}")
            head_shown = True
        try:
            with study.held(trial):
                outcome = run_trial(trial)
                study.tell(trial, outcome)
        except TrialTaken as taken:
            say(f"       {taken}")
            continue
        say(table.line(summarize(study), trial.number))
        if outcome.reason:
            say(f"       {outcome.reason}")


def require_completed(study: SweepStudy) -> None:
    """Raises ``SweepFailed`` where no trial has completed, so that there is nothing to test, to ship or to quote."""
    if study.count(TrialState.COMPLETE):
        return
    failed, pruned = study.failed, study.count(TrialState.PRUNED)
    cure = f"the last one said: {_last_reason(failed)}. {_RETRY}" if failed else "sweep.pruner=none ends none early"
    raise SweepFailed(
        f"no trial of the sweep {study.spec.name} has completed, {len(failed)} failed and {pruned} were pruned; {cure}"
    )


def _stop_after_failures(study: SweepStudy) -> None:
    failed = study.failed
    if len(failed) > study.rules.max_failures:
        goes_on = "Mend the cause and give the same command with a higher sweep.max_failures to go on"
        raise SweepFailed(
            f"{len(failed)} trials of the sweep {study.spec.name} failed, more than sweep.max_failures="
            f"{study.rules.max_failures}; the last one said: {_last_reason(failed)}. "
            f"{goes_on if study.count(TrialState.COMPLETE) else _RETRY}"
        )


def _last_reason(failed: Sequence[FrozenTrial]) -> str:
    return str(failed[-1].user_attrs.get("reason", "nothing")).rstrip(".")
