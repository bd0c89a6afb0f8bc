"""One trial: the same training as a run, judged on the validation split alone, in a process that stays warm."""

from __future__ import annotations

import gc
import logging
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from optuna import Trial

from bertexp.config.resolve import compose_config, flat_parameters
from bertexp.config.schema import Config
from bertexp.data.table import TextDataset
from bertexp.errors import DataError, DiskFull, RunInterrupted, RunPruned, SweepFailed
from bertexp.interfaces import RunState
from bertexp.runs.folder import TRAINED, RunFolder
from bertexp.runs.record import RunRecord, changed_settings, end_of, ending
from bertexp.runs.runner import Trained, prepare, train
from bertexp.runs.stages.parts import Parts
from bertexp.sweeps.spec import LATENCY, SweepSpec, local_overrides
from bertexp.sweeps.work.study import Outcome, SweepStudy
from bertexp.sweeps.work.warm import WarmParts
from bertexp.system.console import log_to, quiet
from bertexp.system.credentials import hide, put_back
from bertexp.system.files import enough_space
from bertexp.tracking.base import Tracker, build_tracker
from bertexp.training.callbacks import Callback, ProgressReport
from bertexp.training.checkpoint import remove_checkpoints
from bertexp.training.trainer import Trainer

LATENCY_ROWS, LATENCY_WARM_ROWS = 50, 5
_log = logging.getLogger("bertexp")


class TrialReport(Callback):
    """Tells the study how many steps were done, of how many, and each validation, if the trial can be ``pruned``."""

    def __init__(self, study: SweepStudy, trial: Trial, pruned: bool):
        self._study, self._trial, self._pruned = study, trial, pruned

    def sees_model(self, hook: str) -> bool:
        return False

    def on_validation_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if not self._pruned:
            return
        index = sum("val/loss" in found for _, found in trainer.state.history)
        why = self._study.report(self._trial, index, metrics[self._study.spec.objectives[0]])
        if why is not None and trainer.state.step < trainer.length.total_steps:
            raise RunPruned(f"pruned at step {trainer.state.step} of {trainer.length.total_steps}: {why}")

    def on_train_batch_end(self, trainer: Trainer) -> None:
        self._study.require_held(self._trial)

    def on_fit_end(self, trainer: Trainer) -> None:
        self._study.note(self._trial, "steps", [trainer.state.step, trainer.length.total_steps])

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        if hasattr(trainer, "length"):
            self.on_fit_end(trainer)


class TrialRunner:
    """Runs trials one after the other; TensorFlow, the data and its tokens are read once.

    Args:
        study: told the validations.
        words: the worker's own, which say where it writes, and hold the secrets that the study hides.
        tags: of every tracked run.
    """

    def __init__(self, study: SweepStudy, words: Sequence[str], tags: dict[str, str]):
        self._study, self._words, self._tags = study, list(words), tags
        self._warm = WarmParts()

    def __call__(self, trial: Trial) -> Outcome:
        """Trains the trial to its end, going on where somebody had begun.

        Raises:
            RunInterrupted: a signal came; the trial can go on from its checkpoint.
            DiskFull: the next trials would fail, too; this one can go on, as above.
            SweepFailed: the folder holds trials of another sweep, or the data are other ones by now.
        """
        if not self._study.is_being_finished:
            free_disk(self._study)
        spec, found = self._study.spec, []
        means: dict[str, float] = {}
        state, reason = RunState.COMPLETED, ""
        try:
            with enough_space(self._study.folder), self._tracked(trial) as (tracker, tags):
                for index in range(spec.seeds):
                    found.append(self._run(trial, index, tags))
                    gc.collect()
                over_seeds = {name: [metrics[name] for metrics in found] for name in spec.objectives}
                means = {name: statistics.fmean(values) for name, values in over_seeds.items()}
                if spec.seeds > 1:
                    self._study.note(trial, "seed_values", list(zip(*over_seeds.values(), strict=True)))
                    spreads = {f"{name}_spread": statistics.stdev(values) for name, values in over_seeds.items()}
                    tracker.log_metrics(means | spreads | {"objective": means[spec.objectives[0]]}, 0)
        except Exception as error:  # whatever it is, the sweep goes on; the run's log has the traceback
            state, reason = end_of(error)
            if state == RunState.INTERRUPTED or isinstance(error, (DiskFull, SweepFailed)):
                raise
            if state == RunState.FAILED:
                reason = f"{type(error).__name__}: {reason.splitlines()[0]}"
        else:
            if not all(map(math.isfinite, means.values())):
                state, reason = RunState.FAILED, f"the objective {means[spec.objectives[0]]} is no number"
        return Outcome(state, tuple(means.values()), reason)

    @contextmanager
    def _tracked(self, trial: Trial) -> Iterator[tuple[Tracker, dict[str, str]]]:
        """The trial's own tracked run, which several seeds alone have, and the tags of the seeds' runs below it."""
        spec, tags = self._study.spec, self._tags | {"trial": str(trial.number)}
        if spec.seeds == 1:
            yield Tracker(), tags
            return
        config, _ = compose_config(self.overrides(trial, 0))
        known = trial.user_attrs.get("mlflow_run_id")
        tracker = build_tracker(config.tracking, f"trial {trial.number}", config.run.outputs_dir, known)
        with ending(tracker.finish):
            tracker.start({key: value for key, value in flat_parameters(config).items() if key != "run.seed"}, tags)
            self._study.note(trial, "mlflow_run_id", tracker.run_id)
            yield tracker, tags | ({"parent_run_id": tracker.run_id} if tracker.run_id else {})

    def overrides(self, trial: Trial, index: int) -> list[str]:
        """The command line of the ``index``-th seed's run."""
        spec = self._study.spec
        seed = [f"run.seed={spec.base_seed + index}"] if spec.seeds > 1 else []
        words = spec.trial_overrides(trial.params, local_overrides(self._words))
        return [*put_back(words, self._words), *seed]

    def _run(self, trial: Trial, index: int, tags: dict[str, str]) -> dict[str, float]:
        """The objectives of one seed's run."""
        folder = RunFolder(self._study.run_folder(trial.number, index))
        former, spec = folder.info, self._study.spec
        overrides = self.overrides(trial, index)
        config, _ = compose_config(overrides)
        prepared = prepare(config, self._warm.plan(config))
        _require_same_data(spec, prepared.dataset)
        _require_validation(spec.objectives, config, prepared.dataset)
        derived = self._validate_often(config, prepared.dataset)
        overrides += derived
        self._study.note(trial, "derived", derived)
        if "parameters" in former:  # a worker that died earlier has left at most the id of its tracked run
            _require_own(folder, config, prepared.dataset.fingerprint)
            if former["state"] == RunState.COMPLETED:  # the worker died between its run's end and the trial's
                return former["objectives"]
            if former["state"] == RunState.PRUNED:
                raise RunPruned(former["reason"])
            config.trainer.resume = str(folder.path)
        tags = tags | {"seed": str(config.run.seed)}
        name = f"trial {trial.number}" + (f" seed {config.run.seed}" if spec.seeds > 1 else "")
        pruned = spec.objectives[0] != LATENCY and index == 0 and len(spec.objectives) == 1
        callbacks = [ProgressReport(60.0, brief=f"trial {trial.number}"), TrialReport(self._study, trial, pruned)]
        with quiet():
            record = RunRecord(config, folder.path, overrides, prepared.dataset.fingerprint, tags, name)
            with log_to(folder.log_file, redirect_stderr=True), record.running():
                try:
                    return self._measure(record, train(record, prepared, callbacks, self._warm.build))
                except Exception as error:
                    if not isinstance(error, (RunPruned, RunInterrupted)):
                        _log.exception("the trial failed")
                    raise

    def _measure(self, record: RunRecord, trained: Trained) -> dict[str, float]:
        """The objectives of a trained model, told to its folder and its tracked run."""
        metrics, names = trained.state.chosen_metrics(), self._study.spec.objectives
        measured = {LATENCY: _measure_latency(trained.parts)} if LATENCY in names else {}
        metrics |= measured
        objectives = {name: metrics[name] for name in names}
        # the val/ metrics were logged by the trainer
        record.tracker.log_metrics({"objective": metrics[names[0]]} | measured, trained.state.step)
        record.folder.update_info(stage=TRAINED, metrics=metrics, objectives=objectives)
        return objectives

    def _validate_often(self, config: Config, dataset: TextDataset) -> list[str]:
        """Gives a pruner its reports, ``sweep.reports`` validations at equal distances; returns the override that does."""
        trainer, spec = config.trainer, self._study.spec
        if not spec.pruned or trainer.validate_every_steps is not None:
            return []
        rows = dataset.splits["train"].num_rows
        length = trainer.run_length(-(-rows // trainer.batch_size))
        trainer.validate_every_steps = max(1, -(-length.total_steps // spec.reports))
        return [f"trainer.validate_every_steps={trainer.validate_every_steps}"]


def free_disk(study: SweepStudy) -> None:
    """Removes checkpoints of ended trials that will not be shipped; a real model's take half a gigabyte a trial."""
    trials = study.trials
    best = {trial.number for trial in study.best_of(trials)}
    for trial in trials:
        shipped = study.rules.export == "all" and trial.state.name == "COMPLETE"
        if trial.state.is_finished() and trial.number not in best and not shipped:
            for index in range(study.spec.seeds):
                remove_checkpoints(RunFolder(study.run_folder(trial.number, index)).checkpoints)


def _require_same_data(spec: SweepSpec, dataset: TextDataset) -> None:
    """Raises SweepFailed where all trials read the same data, and these are not those that the sweep began with."""
    if len(spec.data) == 1 and spec.data[0] != dataset.fingerprint:
        raise SweepFailed(
            f"the data changed since the sweep {spec.name} began (fingerprint {spec.data[0]}, now {dataset.fingerprint}); "
            f"restore them, or start another sweep with sweep.name=<new name>"
        )


def _require_own(folder: RunFolder, config: Config, fingerprint: str) -> None:
    """Raises SweepFailed where ``folder`` holds a run of other settings or data: its result would be taken for this trial's."""
    former = folder.info
    changed = changed_settings(former, hide(flat_parameters(config)))
    if former["data_fingerprint"] != fingerprint:
        changed.append(f"the fingerprint of the data was {former['data_fingerprint']} and is {fingerprint}")
    if changed:
        raise SweepFailed(
            f"{folder.path} holds a run of another sweep, whose study is gone: {', '.join(changed)}; give this sweep another "
            f"folder with sweep.name=<new name>"
        )


def _require_validation(objectives: Sequence[str], config: Config, dataset: TextDataset) -> None:
    """Raises DataError where an objective would be measured on validation rows and there are none."""
    measured = next((name for name in objectives if name != LATENCY), None)
    if measured and "val" not in dataset.splits and not config.trainer.overfit_batches:
        raise DataError(
            f"{dataset.source} has no validation rows, on which the sweep's objective {measured} is measured; set "
            "dataset.val_fraction above 0, or name a dataset.val_file"
        )


def _measure_latency(parts: Parts) -> float:
    """Median milliseconds of a prediction of one example, tokens in, logits out, over the first that validate (or train)."""
    seconds, examples = [], parts.data.examples("val" if "val" in parts.dataset.splits else "train")
    predict, rows = parts.module.compiled_predict_step(examples.spec), len(examples.lengths)
    for row in range(LATENCY_WARM_ROWS + LATENCY_ROWS):
        features, _ = examples.pack(np.array([row % rows]))
        begin = time.perf_counter()
        np.asarray(predict(features))
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[LATENCY_WARM_ROWS:]) * 1000.0
