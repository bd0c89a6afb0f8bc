"""The story of a worker: trials, then (the last worker) the best one's test and export, the report, the parent run's end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config
from bertexp.console import say
from bertexp.errors import RunInterrupted
from bertexp.runner import execute
from bertexp.runs import BEST, RunFolder, write_atomically
from bertexp.sweeps.parent import ParentRun
from bertexp.sweeps.progress import show_seconds
from bertexp.sweeps.report import write_report
from bertexp.sweeps.spec import choose_sampler, count_trials, local_overrides
from bertexp.sweeps.study import SweepStudy
from bertexp.sweeps.summary import SweepSummary, summarize
from bertexp.sweeps.trial import TrialRunner, drop_checkpoints
from bertexp.sweeps.worker import pull_trials


def work(config: Config, words: Sequence[str], folder: Path) -> None:
    """Runs one worker of the sweep whose study lies in ``folder`` (or in ``sweep.storage``).

    Args:
        words: the job's overrides; those that say where to write hold for its trials too.

    Raises:
        SweepFailed: too many trials failed.
        RunInterrupted: a signal came; the same command goes on.
    """
    study = SweepStudy.open(folder, config.sweep)
    parent = ParentRun(study, config, ["python", "-m", "bertexp", "-m", *words])
    local = local_overrides(words)
    if study.ended and study.ended >= count_trials(config.sweep, study.spec.space):
        say(f"\nthe sweep is done: {study.ended} trials have ended; a higher sweep.trials goes on with it")
    trials = TrialRunner(study, folder, local, parent.begin())
    try:
        pull_trials(study, config.sweep, trials)
        with study.finishing() as mine:
            if mine:
                _finish(study, config, folder, trials, parent, local)
    except BaseException as error:
        interrupted = isinstance(error, (RunInterrupted, KeyboardInterrupt))
        if interrupted:
            say("\nstopped; the same command goes on with this sweep")
        parent.stop("interrupted" if interrupted else "failed", str(error) or type(error).__name__)
        raise
    _show(_summary(study, config, local), folder)


def _finish(
    study: SweepStudy, config: Config, folder: Path, trials: TrialRunner, parent: ParentRun, local: list[str]
) -> None:
    """Tests, exports and verifies what ``sweep.export`` names, then writes the report."""
    summary = _summary(study, config, local)
    chosen = {"best": summary.best, "all": tuple(row.number for row in summary.trials if row.values), "none": ()}
    for number in chosen[config.sweep.export]:
        _ship(study, trials, number)
    for row in summary.trials:
        if row.number not in summary.best:
            drop_checkpoints(folder / f"trial-{row.number:04d}")
    shipped = _tested(study, trials, summary)
    files = write_report(summary, folder, shipped)
    if summary.best:
        run = trials.run_folder(summary.best[0], _best_seed(study, summary.best[0]))
        write_atomically(folder / BEST, f"{run.relative_to(folder)}\n")
    parent.finish(summary, {name: value for name, value in shipped.items() if name != "interval"}, files)


def _ship(study: SweepStudy, trials: TrialRunner, number: int) -> None:
    """Goes on with a trained trial as an ordinary run, which tests, exports and verifies it; of several seeds the best."""
    index = _best_seed(study, number)
    run = RunFolder(trials.run_folder(number, index))
    if run.info.get("stage") == "tested":
        return
    if not run.info:
        say(
            f"trial {number} lies on another machine; test and export it there: python -m bertexp trainer.resume=<its folder>"
        )
        return
    overrides = run.info["overrides"]
    config, _ = compose_config(overrides)
    config.trainer.resume = str(run.path)
    say(f"\ntrial {number} goes on to its test{' and export' if config.export.enabled else ''}")
    execute(config, run.path, overrides)


def _best_seed(study: SweepStudy, number: int) -> int:
    values = study.trials[number].user_attrs.get("seed_values") or [[0.0]]
    sign = 1 if study.spec.directions[0] == "maximize" else -1
    return max(range(len(values)), key=lambda index: sign * values[index][0])


def _tested(study: SweepStudy, trials: TrialRunner, summary: SweepSummary) -> dict[str, Any]:
    """The best trial's test metrics and the interval of its accuracy, where it was tested."""
    if summary.best_row is None:
        return {}
    number = summary.best_row.number
    info = RunFolder(trials.run_folder(number, _best_seed(study, number))).info
    tested = {name: value for name, value in info.get("metrics", {}).items() if name.startswith("test/")}
    return tested | ({"interval": info["interval"]} if info.get("interval") else {})


def _summary(study: SweepStudy, config: Config, local: list[str]) -> SweepSummary:
    return summarize(study, choose_sampler(config.sweep, study.spec.space), config.sweep.pruner, local)


def _show(summary: SweepSummary, folder: Path) -> None:
    """The last lines: the best trial, what pruning saved, what to paste."""
    say()
    for number in summary.best:
        row = summary.trials[number]
        values = "  ".join(
            f"{name} {value:.4f}" for name, value in zip(summary.spec.objectives, row.values, strict=True)
        )
        point = "  ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in row.point.items()
        )
        say(f"{'best' if number == summary.best[0] else '':<10} trial {number}  {values}  {point}")
    if not summary.best:
        say("best       no trial has completed")
    pruned = sum(row.state == "pruned" for row in summary.trials)
    if pruned:
        say(f"pruned     {pruned} of {len(summary.trials)} trials, {show_seconds(summary.seconds_saved)} saved")
    say(f"report     {folder / 'report.html'}")
    if summary.best:
        say(f"best again {summary.best_command}")
        say(f"compare    python -m bertexp compare {shlex.quote(str(folder))}")
