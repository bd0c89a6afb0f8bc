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
from bertexp.sweeps.work.study import SweepStudy
from bertexp.sweeps.work.summary import summarize
from bertexp.sweeps.work.trial import TrialRunner, free_disk
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
    study = SweepStudy(folder, config.sweep)
    swept = [f"{name}={expression}" for name, expression in study.spec.expressions.items()]
    parent = ParentRun(study, config, ["python", "-m", "bertexp", "-m", *words, *swept])
    tags = parent.begin()
    try:
        with StopSignal():  # between trials; a run has its own
            pull_trials(study, TrialRunner(study, words, tags))
            with study.finishing() as mine:
                if mine:
                    _finish(study, parent, words)
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
        say(describe_end(summarize(study, local_overrides(words)), folder))
    else:
        say(f"the sweep's last worker writes {folder / 'report.html'}")


def _finish(study: SweepStudy, parent: ParentRun, words: Sequence[str]) -> None:
    """Tests, exports and verifies what ``sweep.export`` names, then writes the report."""
    summary = summarize(study, local_overrides(words))
    chosen = {"best": summary.front, "all": [row for row in summary.trials if row.values], "none": []}
    for row in chosen[study.rules.export]:
        _ship(row.number, RunFolder(study.run_folder(row.number, summary.best_seed(row))), words)
    free_disk(study)
    shipped: dict[str, Any] = {}  # the best trial's test metrics and their intervals, if it was tested
    if summary.best_row:
        run = RunFolder(study.run_folder(summary.best[0], summary.best_seed(summary.best_row)))
        shipped = {name: value for name, value in run.info.get("metrics", {}).items() if name.startswith("test/")}
        shipped |= {key: run.info[key] for key in ("intervals", "tests_on_validation") if run.info.get(key)}
        write_text(study.folder / BEST, f"{run.path.relative_to(study.folder.resolve())}\n")
    files = write_report(summary, study.folder, shipped)
    parent.finish(summary, {name: value for name, value in shipped.items() if name.startswith("test/")}, files)


def _ship(number: int, run: RunFolder, words: Sequence[str]) -> None:
    """Goes on with a trained trial as an ordinary run, which tests, exports and verifies it; of several seeds the best."""
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
