"""The story of a worker: trials, then (the last worker) the best one's test and export, the report, the parent run's end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertexp.config.schema import Config
from bertexp.config.store import run_line
from bertexp.config.words import write
from bertexp.interfaces import RunState
from bertexp.runs import runner
from bertexp.runs.folder import BEST, TESTED, RunFolder, recorded_words
from bertexp.runs.record import end_of
from bertexp.sweeps.progress import describe_end
from bertexp.sweeps.reporting.report import write_report
from bertexp.sweeps.spec import local_overrides
from bertexp.sweeps.work.parent import ParentRun
from bertexp.sweeps.work.study import Claim, Outcome, SweepStudy
from bertexp.sweeps.work.summary import SweepSummary, best_seed, summarize
from bertexp.sweeps.work.trial import TrialRunner, drop_checkpoints
from bertexp.sweeps.work.worker import pull_trials
from bertexp.system.console import labelled, say
from bertexp.system.credentials import put_back
from bertexp.system.files import write_text
from bertexp.system.signals import StopSignal


def work(config: Config, words: Sequence[str], folder: Path) -> None:
    """Runs one worker of the sweep whose study lies in ``folder`` (or in ``sweep.storage``).

    Args:
        words: the job's overrides; those that say where to write hold for its trials too.

    Raises:
        SweepFailed: too many trials failed.
        RunInterrupted: a signal came; the same command goes on.
    """
    study = SweepStudy.open(folder, config.sweep)
    swept = [f"{name}={expression}" for name, expression in study.spec.expressions.items()]
    parent = ParentRun(study, config, ["python", "-m", "bertexp", "-m", *words, *swept])
    trials = TrialRunner(study, folder, words, parent.begin())
    try:
        with StopSignal():  # between trials; a run has its own

            def run_trial(claim: Claim) -> Outcome:
                if not study.is_being_finished:
                    _tidy(study, config, folder)
                return trials(claim)

            pull_trials(study, config.sweep, run_trial)
            with study.finishing() as mine:
                if mine:
                    _finish(study, config, folder, trials, parent, words)
    except BaseException as error:
        state, reason = end_of(error)
        if state == RunState.INTERRUPTED:
            say("\nstopped; the same command goes on with this sweep")
        try:
            parent.stop(state, reason)
        except Exception as second:  # the first error is the one to show
            say(labelled("warning", f"the sweep's tracked run does not tell how it ended: {second}"))
        raise
    if mine:
        say(describe_end(summarize(study, config.sweep, local_overrides(words)), folder))
    else:
        say(f"the sweep's last worker writes {folder / 'report.html'}")


def _finish(
    study: SweepStudy, config: Config, folder: Path, trials: TrialRunner, parent: ParentRun, words: Sequence[str]
) -> None:
    """Tests, exports and verifies what ``sweep.export`` names, then writes the report."""
    summary = summarize(study, config.sweep, local_overrides(words))
    chosen = {"best": summary.best, "all": tuple(row.number for row in summary.trials if row.values), "none": ()}
    for number in chosen[config.sweep.export]:
        _ship(study, trials, number, words)
    _tidy(study, config, folder)
    shipped = _tested(study, trials, summary)
    files = write_report(summary, folder, shipped)
    if summary.best:
        run = trials.run_folder(summary.best[0], _best_seed(study, summary.best[0]))
        write_text(folder / BEST, f"{run.relative_to(folder)}\n")
    parent.finish(summary, {name: value for name, value in shipped.items() if name.startswith("test/")}, files)


def _ship(study: SweepStudy, trials: TrialRunner, number: int, words: Sequence[str]) -> None:
    """Goes on with a trained trial as an ordinary run, which tests, exports and verifies it; of several seeds the best."""
    index = _best_seed(study, number)
    run = RunFolder(trials.run_folder(number, index))
    if run.info.get("stage") == TESTED:
        return
    if not run.info:
        say(
            f"trial {number} lies on another machine; test and export it there: "
            f"{run_line(write('trainer.resume', str(run.path)))}"
        )
        return
    exports = run.info["parameters"]["export.enabled"]
    say(f"\ntrial {number} goes on to its test{' and export' if exports else ''}")
    own = put_back(recorded_words(run.info), words)
    runner.run([*own, write("trainer.resume", str(run.path))], owns_process=True)


def _tidy(study: SweepStudy, config: Config, folder: Path) -> None:
    """Frees the disk of ended trials that will not be shipped; a real model's checkpoints take half a gigabyte a trial."""
    trials = study.trials
    best = {trial.number for trial in study.best_of(trials)}
    for trial in trials:
        shipped = config.sweep.export == "all" and trial.state.name == "COMPLETE"
        if trial.state.is_finished() and trial.number not in best and not shipped:
            drop_checkpoints(folder / f"trial-{trial.number:04d}")


def _best_seed(study: SweepStudy, number: int) -> int:
    return best_seed(study.trials[number].user_attrs.get("seed_values") or [[0.0]], study.spec.directions[0])


def _tested(study: SweepStudy, trials: TrialRunner, summary: SweepSummary) -> dict[str, Any]:
    """The best trial's test metrics and their intervals, where it was tested."""
    if summary.best_row is None:
        return {}
    number = summary.best_row.number
    info = RunFolder(trials.run_folder(number, _best_seed(study, number))).info
    tested = {name: value for name, value in info.get("metrics", {}).items() if name.startswith("test/")}
    return tested | {key: info[key] for key in ("intervals", "tests_on_validation") if info.get(key)}
