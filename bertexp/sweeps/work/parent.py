"""The sweep's own run in the tracking store: the parent of its trials' runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertexp.config.schema import Config
from bertexp.interfaces import RunState
from bertexp.runs.record import ending
from bertexp.sweeps.spec import choose_sampler, count_trials
from bertexp.sweeps.work.study import SweepStudy
from bertexp.sweeps.work.summary import SweepSummary
from bertexp.system.provenance import collect_provenance, provenance_tags
from bertexp.tracking.base import Tracker, build_tracker

RUN_ID = "mlflow_run_id"


class ParentRun:
    """Made once per sweep, whatever number of workers; each of them may reopen it to write an end.

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
                tracker = self._open(None)
                run_id = tracker.run_id
                if run_id is not None:
                    self._study.remember(RUN_ID, run_id)
                    tracker.flush()
        tags = {"sweep": self._study.spec.name}
        return tags | ({"parent_run_id": run_id} if run_id else {})

    def stop(self, state: RunState, reason: str) -> None:
        """Says that the sweep stands still: interrupted or failed."""
        self._open(self._study.recall(RUN_ID)).finish(state, reason)

    def finish(self, summary: SweepSummary, metrics: dict[str, float], files: Sequence[Path]) -> None:
        """Writes the result, its pictures and files, and ends the run."""
        states, best = (RunState.COMPLETED, RunState.PRUNED, RunState.FAILED), summary.best_row
        found = {f"trials/{state}": float(summary.count(state)) for state in states}
        description = "No trial has completed."
        if best:
            values = dict(zip(summary.spec.objectives, best.values, strict=True))
            found |= {"objective": best.values[0]} | values
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            description = (
                f"Best of {len(summary.trials)} trials: trial {best.number} with {shown}.\n\n`{summary.best_command}`"
            )
        with ending(self._open(self._study.recall(RUN_ID), description)) as tracker:
            tracker.log_metrics(found | metrics | {"steps_share": summary.step_share}, len(summary.trials))
            if best:
                tracker.log_dict({"trial": best.number, "command": summary.best_command} | best.point, "best.json")
            for file in files:
                tracker.log_file(file, "figures" if file.suffix == ".png" else "")

    def _open(self, run_id: str | None, description: str = "") -> Tracker:
        config, spec = self._config, self._study.spec
        tracker = build_tracker(config.tracking, spec.name, config.run.outputs_dir, run_id)
        rules = config.sweep
        params: dict[str, Any] = {f"space.{name}": text for name, text in spec.space.describe().items()}
        params |= {"sweep.objective": ", ".join(spec.objectives), "sweep.direction": ", ".join(spec.directions)}
        params |= {"sweep.trials": count_trials(rules, spec.space), "sweep.sampler": choose_sampler(rules, spec.space)}
        params |= {"sweep.pruner": rules.pruner, "sweep.seeds": spec.seeds, "overrides": " ".join(spec.overrides)}
        provenance = collect_provenance(self._command)
        tags = {"sweep": spec.name, "kind": "sweep"} | ({"description": description} if description else {})
        tracker.start(params, provenance_tags(provenance) | tags)
        return tracker
