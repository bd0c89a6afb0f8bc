"""One trial: the same training as a run, judged on the validation split alone, in a process that stays warm."""

from __future__ import annotations

import gc
import logging
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bertexp.assembly import Parts
from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config
from bertexp.console import log_to, quiet
from bertexp.data.dataset import TextDataset
from bertexp.errors import RunInterrupted, RunPruned
from bertexp.plan import make_plan
from bertexp.record import TRAINED, RunRecord
from bertexp.runs import RunFolder
from bertexp.sweeps.spec import LATENCY
from bertexp.sweeps.study import Claim, Outcome, SweepStudy
from bertexp.sweeps.warm import WarmParts
from bertexp.training.callbacks import Callback, ProgressReport
from bertexp.training.checkpoint import CheckpointStore
from bertexp.training.length import make_run_length
from bertexp.training.trainer import Trainer

LATENCY_ROWS, LATENCY_WARM_ROWS = 50, 5
_log = logging.getLogger("bertexp")


class PruneReport(Callback):
    """Tells the study each validation, and ends the run where the study's pruner says so."""

    def __init__(self, study: SweepStudy, claim: Claim):
        self._study, self._claim = study, claim

    def on_validation_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        index = sum("val/loss" in found for _, found in trainer.state.history)
        why = self._study.report(self._claim, index, metrics[self._study.spec.objectives[0]])
        if why is not None and trainer.state.step < trainer.length.total_steps:
            raise RunPruned(f"pruned at step {trainer.state.step} of {trainer.length.total_steps}: {why}")


class TrialRunner:
    """Runs trials one after the other; TensorFlow, the data and its tokens are read once.

    Args:
        study: told the validations.
        folder: of the sweep; a trial's folder is ``trial-<number>``, with ``seed-<seed>`` below where there are several.
        local: overrides that say where this worker writes.
        tags: of every tracked run.
    """

    def __init__(self, study: SweepStudy, folder: Path, local: Sequence[str], tags: dict[str, str]):
        self._study, self._folder, self._local, self._tags = study, folder, list(local), tags
        self._warm = WarmParts()

    def __call__(self, claim: Claim) -> Outcome:
        """Trains the trial to its end, going on where somebody had begun.

        Raises:
            RunInterrupted: a signal came; the trial can go on from its checkpoint.
        """
        spec = self._study.spec
        found: list[dict[str, float]] = []
        steps, started = [0, 0], time.time()
        for index in range(spec.seeds):
            try:
                metrics, steps = self._run(claim, index)
            except (RunInterrupted, KeyboardInterrupt):
                raise
            except RunPruned as ended:
                run = RunFolder(self.run_folder(claim.number, index))
                return Outcome("pruned", reason=str(ended), facts={"steps": run.info.get("steps", steps)})
            except Exception as error:  # whatever it is, the sweep goes on; the run's log has the traceback
                return Outcome(
                    "failed", reason=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                )
            finally:
                gc.collect()
            found.append(metrics)
        values = tuple(statistics.fmean(metrics[name] for metrics in found) for name in spec.objectives)
        facts: dict = {"steps": steps, "seconds": time.time() - started}
        if spec.seeds > 1:
            facts["seed_values"] = [[metrics[name] for name in spec.objectives] for metrics in found]
        return Outcome("completed", values, facts=facts)

    def run_folder(self, number: int, index: int) -> Path:
        """Where the run of the ``index``-th seed of a trial lies."""
        spec = self._study.spec
        trial = self._folder / f"trial-{number:04d}"
        return trial / f"seed-{spec.base_seed + index}" if spec.seeds > 1 else trial

    def overrides(self, claim: Claim, index: int) -> list[str]:
        """The command line of the ``index``-th seed's run."""
        spec = self._study.spec
        seed = [f"run.seed={spec.base_seed + index}"] if spec.seeds > 1 else []
        return [*spec.trial_overrides(claim.point, self._local), *seed]

    def _run(self, claim: Claim, index: int) -> tuple[dict[str, float], list[int]]:
        """The objectives of one seed's run, and its steps: done, of how many."""
        folder = RunFolder(self.run_folder(claim.number, index))
        former = folder.info
        if former.get("state") == "completed":  # the worker died between its run's end and the trial's
            return former["objectives"], former["steps"]
        if former.get("state") == "pruned":
            raise RunPruned(former["reason"])
        overrides = self.overrides(claim, index)
        config, _ = compose_config(overrides)
        plan = make_plan(config)
        dataset = self._warm.load(config, plan)
        self._validate_often(config, dataset, overrides)
        if former:
            config.trainer.resume = str(folder.path)
        tags = self._tags | {"trial": str(claim.number), "seed": str(config.run.seed)}
        with quiet():
            record = RunRecord(config, folder.path, overrides, dataset.fingerprint, tags)
            with log_to(record.folder.log_file, redirect_stderr=True), record:
                try:
                    parts = self._warm.build(config, plan, dataset)
                    return self._train(config, parts, record, claim, index)
                except Exception as error:
                    if not isinstance(error, (RunPruned, RunInterrupted)):
                        _log.exception("the trial failed")
                    raise

    def _train(
        self, config: Config, parts: Parts, record: RunRecord, claim: Claim, index: int
    ) -> tuple[dict[str, float], list[int]]:
        spec, folder = self._study.spec, record.folder
        callbacks: list[Callback] = [ProgressReport(60.0, brief=f"trial {claim.number}")]
        if spec.objectives[0] != LATENCY and index == 0 and len(spec.objectives) == 1:
            callbacks.append(PruneReport(self._study, claim))
        trainer = Trainer(config.trainer, folder.checkpoints, callbacks, record.tracker, config.run.seed, record.stop)
        resume_from = CheckpointStore(folder.checkpoints, 1).latest() if record.resumed else None
        try:
            state = trainer.fit(parts.module, parts.data, resume_from)
        finally:
            steps = [trainer.state.step, trainer.length.total_steps] if hasattr(trainer, "length") else [0, 0]
            folder.update_info(steps=steps)
        metrics = state.chosen_metrics()
        if LATENCY in spec.objectives:
            metrics[LATENCY] = _measure_latency(parts)
        objectives = {name: metrics[name] for name in spec.objectives}
        record.tracker.log_metrics({"objective": objectives[spec.objectives[0]]} | objectives, state.step)
        folder.update_info(stage=TRAINED, metrics=metrics, objectives=objectives)
        return objectives, steps

    def _validate_often(self, config: Config, dataset: TextDataset, overrides: list[str]) -> None:
        """Gives a pruner its reports: ``sweep.reports`` validations in a run, at equal distances."""
        trainer, spec = config.trainer, self._study.spec
        if spec.pruned and trainer.validate_every_steps is None:
            rows = dataset.splits["train"].num_rows
            length = make_run_length(trainer, -(-rows // trainer.batch_size))
            trainer.validate_every_steps = max(1, -(-length.total_steps // spec.reports))
            overrides.append(f"trainer.validate_every_steps={trainer.validate_every_steps}")


def drop_checkpoints(folder: Path) -> None:
    """Frees the disk of a trial that will not be shipped or gone on with."""
    for checkpoints in [folder / "checkpoints", *folder.glob("seed-*/checkpoints")]:
        shutil.rmtree(checkpoints, ignore_errors=True)


def _measure_latency(parts: Parts) -> float:
    """Median milliseconds of a prediction of one row, tokens in, logits out, over the first rows of the split."""
    seconds = []
    rows = parts.data.labels("val").shape[0]
    for row in range(LATENCY_WARM_ROWS + LATENCY_ROWS):
        features, _ = parts.data.pack("val", np.array([row % rows]))
        begin = time.perf_counter()
        np.asarray(parts.module.compiled_predict_step(features))
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[LATENCY_WARM_ROWS:]) * 1000.0
