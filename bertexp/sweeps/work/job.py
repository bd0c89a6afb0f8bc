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
from bertexp.runs.record import end_of, ending
from bertexp.sweeps.progress import describe_end
from bertexp.sweeps.reporting.report import write_report
from bertexp.sweeps.spec import choose_sampler, count_trials, local_overrides
from bertexp.sweeps.work.study import SweepStudy
from bertexp.sweeps.work.summary import SweepSummary, summarize
from bertexp.sweeps.work.trial import TrialRunner, free_disk
from bertexp.sweeps.work.worker import pull_trials, require_completed
from bertexp.system.console import labelled, say
from bertexp.system.credentials import put_back
from bertexp.system.files import write_text
from bertexp.system.machine import collect_provenance, provenance_tags
from bertexp.system.signals import StopSignal
from bertexp.tracking.base import Tracker, build_tracker

RUN_ID = "mlflow_run_id"  # of the sweep, in its study


def work(config: Config, words: Sequence[str], folder: Path) -> None:
    """Runs one worker of the sweep whose study lies in ``folder`` (or in ``sweep.storage``).

    Args:
        words: the job's overrides; those that say where to write hold for its trials too.

    Raises:
        SweepFailed: too many trials failed, or none has completed.
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
            require_completed(study)
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
    chosen = {"best": summary.front, "all": [trial for trial in summary.trials if trial.values], "none": []}
    for trial in chosen[study.rules.export]:
        _ship(trial.number, RunFolder(study.run_folder(trial.number, summary.best_seed(trial))), words)
    free_disk(study)
    tested: dict[str, float] = {}  # the best trial's test metrics
    shipped: dict[str, Any] = {}  # these, and their intervals
    if summary.best:
        run = RunFolder(study.run_folder(summary.best[0], summary.best_seed(summary.front[0])))
        tested = {name: value for name, value in run.info.get("metrics", {}).items() if name.startswith("test/")}
        shipped = tested | {key: run.info[key] for key in ("intervals", "tests_on_validation") if run.info.get(key)}
        write_text(study.folder / BEST, f"{run.path.relative_to(study.folder.resolve())}\n")
    parent.finish(summary, tested, write_report(summary, study.folder, shipped))


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


class ParentRun:
    """The sweep's own run in the tracking store, the parent of its trials' runs.

    Made once per sweep, whatever number of workers; each of them may reopen it to write an end.

    Args:
        command: the words of the sweep's command line.
    """

    def __init__(self, study: SweepStudy, config: Config, command: Sequence[str]):
        self._study, self._config, self._command = study, config, list(command)

    def begin(self) -> dict[str, str]:
        """Makes the run where there is none; returns the tags of its trials' runs."""
        with self._study.locked():
            run_id = self._study.recall(RUN_ID)
            if run_id is None:
                tracker = self._open()
                run_id = tracker.run_id
                if run_id is not None:
                    self._study.remember(RUN_ID, run_id)
                    tracker.flush()
        tags = {"sweep": self._study.spec.name}
        return tags | ({"parent_run_id": run_id} if run_id else {})

    def stop(self, state: RunState, reason: str) -> None:
        """Says that the sweep stands still: interrupted or failed."""
        self._open().finish(state, reason)

    def finish(self, summary: SweepSummary, metrics: dict[str, float], files: Sequence[Path]) -> None:
        """Writes the result, its pictures and files, and ends the run.

        Raises:
            SweepFailed: no trial has completed, and the run ends as failed.
        """
        states, best = (RunState.COMPLETED, RunState.PRUNED, RunState.FAILED), next(iter(summary.front), None)
        found = {f"trials/{state}": float(summary.count(state)) for state in states}
        description = "No trial has completed."
        if best:
            values = dict(zip(summary.spec.objectives, best.values, strict=True))
            found |= {"objective": best.values[0]} | values
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            description = (
                f"Best of {len(summary.trials)} trials: trial {best.number} with {shown}.\n\n`{summary.best_command}`"
            )
        tracker = self._open(description)
        with ending(tracker.finish):
            tracker.log_metrics(found | metrics | {"steps_share": summary.step_share}, len(summary.trials))
            if best:
                tracker.log_dict({"trial": best.number, "command": summary.best_command} | best.point, "best.json")
            for file in files:
                tracker.log_file(file, "figures" if file.suffix == ".png" else "")
            require_completed(self._study)  # told to the tracker as how the sweep ends

    def _open(self, description: str = "") -> Tracker:
        config, spec, rules = self._config, self._study.spec, self._study.rules
        tracker = build_tracker(config.tracking, spec.name, config.run.outputs_dir, self._study.recall(RUN_ID))
        params: dict[str, Any] = {f"space.{name}": text for name, text in spec.space.describe().items()}
        params |= {"sweep.objective": ", ".join(spec.objectives), "sweep.direction": ", ".join(spec.directions)}
        params |= {"sweep.trials": count_trials(rules, spec.space), "sweep.sampler": choose_sampler(rules, spec.space)}
        params |= {"sweep.pruner": rules.pruner, "sweep.seeds": spec.seeds, "overrides": " ".join(spec.overrides)}
        tags = {"sweep": spec.name, "kind": "sweep"} | ({"description": description} if description else {})
        tracker.start(params, provenance_tags(collect_provenance(self._command)) | tags)
        return tracker
