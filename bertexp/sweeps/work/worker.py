"""A worker: takes trials from the study until none is left; the last one tests and ships the best and writes the report."""

from __future__ import annotations

import statistics
import time
from typing import Protocol

from optuna.trial import TrialState

from bertexp.config.schema import SweepConfig
from bertexp.errors import SweepFailed
from bertexp.sweeps.progress import TrialTable
from bertexp.sweeps.samplers import build_sampler
from bertexp.sweeps.spec import count_trials
from bertexp.sweeps.work.study import Claim, Outcome, SweepStudy
from bertexp.system.console import say

POLL_SECONDS = 2.0


class RunTrial(Protocol):
    """Trains one trial to its end."""

    def __call__(self, claim: Claim) -> Outcome: ...


def pull_trials(study: SweepStudy, sweep: SweepConfig, run_trial: RunTrial) -> None:
    """Runs trials as long as there are any, and waits for those of other workers, to take them over if these die.

    Raises:
        SweepFailed: more than ``sweep.max_failures`` trials have failed.
        RunInterrupted: a signal came; the trial under way was given back.
    """
    limit, started = count_trials(sweep, study.spec.space), time.monotonic()
    table = TrialTable(study.spec)
    head_shown = False
    while True:
        _stop_after_failures(study, sweep)
        late = sweep.timeout_seconds is not None and time.monotonic() - started > sweep.timeout_seconds
        claim = study.take(0 if late else limit, lambda number: build_sampler(sweep, study.spec, number))
        if claim is None:
            if study.count(TrialState.RUNNING) == 0:
                return
            time.sleep(POLL_SECONDS)
            continue
        if not head_shown:
            say(f"\n{table.head}")
            head_shown = True
        begun = time.time()
        with study.held(claim):
            outcome = run_trial(claim)
            study.tell(claim, outcome)
        say(_row(table, study, claim, outcome, time.time() - begun, limit))
        if outcome.reason:
            say(f"       {outcome.reason}")


def _stop_after_failures(study: SweepStudy, sweep: SweepConfig) -> None:
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    if len(failed) > sweep.max_failures:
        raise SweepFailed(
            f"{len(failed)} trials of the sweep {study.spec.name} failed, more than sweep.max_failures={sweep.max_failures}; "
            f"the last one said: {failed[-1].user_attrs.get('reason', 'nothing')}. Mend the cause and give the same command "
            f"with a higher sweep.max_failures to go on"
        )


def _row(table: TrialTable, study: SweepStudy, claim: Claim, outcome: Outcome, seconds: float, limit: int) -> str:
    trials = study.trials
    ended = [trial for trial in trials if trial.state.is_finished()]
    best = study.best_of(trials)
    shown = f"{best[0].values[0]:.4f} ({best[0].number})" if len(best) == 1 else f"{len(best)} points" if best else ""
    spans = [end - begin for trial in ended for _, begin, end in trial.user_attrs.get("segments", []) if end]
    workers = sum(trial.state == TrialState.RUNNING for trial in trials) + 1
    left = sum(spans) / max(len(ended), 1) * (limit - len(ended)) / workers
    values = outcome.values or tuple(list(trials[claim.number].intermediate_values.values())[-1:])
    steps = outcome.facts.get("steps", [])
    columns = zip(*outcome.facts.get("seed_values", []), strict=True)
    spreads = [statistics.stdev(column) for column in columns]
    return table.row(claim.number, outcome.state, values, spreads, claim.point, steps, seconds, shown, left)
