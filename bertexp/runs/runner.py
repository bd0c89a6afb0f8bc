"""The story of a run on one screen: prepare -> train -> judge -> ship; a sweep's trial is the first two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config
from bertexp.models.source.locate import read_vocabulary
from bertexp.runs.checks import check_examples, check_length
from bertexp.runs.farewell import say_farewell
from bertexp.runs.folder import own_words, with_former_overrides
from bertexp.runs.plan import Plan, describe_plan, make_plan
from bertexp.runs.record import TESTED, RunRecord, RunResult
from bertexp.serving.verify import Verifier, VerifyReport
from bertexp.system import devices
from bertexp.system.console import labelled, log_to, say

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.callbacks import Callback
    from bertexp.training.checkpoint import LoopState
    from bertexp.training.trainer import Trainer


@dataclass(frozen=True)
class Prepared:
    """What a run reads: on this machine, and checked as far as that can be done without TensorFlow."""

    plan: Plan
    dataset: TextDataset
    judged: str  # the labelled split that the finished model is judged on
    unlabelled: TextDataset | None  # what is predicted for a submission


@dataclass(frozen=True)
class Trained:
    """A fitted model, with the weights of its best validation, and where its loop ended."""

    parts: Parts
    trainer: Trainer
    state: LoopState


@dataclass(frozen=True)
class Judged:
    """What the labelled rows say of a trained model; see ``RunResult``."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def run(overrides: Sequence[str] = (), owns_process: bool = False) -> RunResult | None:
    """Runs ``overrides`` (as on the command line) in this process; ``None`` for ``run.dry=true``.

    ``owns_process`` lets the native libraries' output go to the run's log instead of the terminal.

    Raises:
        BertexpError: a mistake of the caller's; the message names the cure.
    """
    words = with_former_overrides(overrides)
    config, folder = compose_config(words)
    return execute(config, Path(folder), own_words(words), owns_process)


def execute(config: Config, folder: Path, overrides: list[str], owns_process: bool = True) -> RunResult | None:
    """Runs a checked config; everything it writes lies in ``folder``, the caches and the tracking store."""
    plan = make_plan(config, overrides)
    if config.run.dry:
        say(describe_plan(plan, config, str(folder)))
        return None
    prepared = prepare(config, plan)
    record = RunRecord(config, folder, overrides, prepared.dataset.fingerprint)
    exports = config.export.enabled and not config.trainer.fast_dev_run
    with log_to(record.folder.log_file, redirect_stderr=owns_process), record:
        say(labelled("run", record.folder.path))
        trained = train(record, prepared)
        with Verifier() if exports else nullcontext() as verifier:  # it imports TensorFlow while the model is judged
            judged = judge(record, prepared, trained)
            shipped = ship(record, trained, verifier) if verifier else None
        record.folder.update_info(stage=TESTED)
        say_farewell(record, trained.parts.dataset, exported=shipped is not None)
        return RunResult(
            folder=record.folder.path,
            metrics=judged.metrics,
            objective=judged.metrics.get(trained.trainer.monitor),
            mlflow_run_id=record.tracker.run_id,
            model_folder=record.folder.model_folder if shipped else None,
            export_difference=shipped.max_difference if shipped else None,
            intervals=judged.intervals,
            predictions=record.folder.predictions(),
        )


def prepare(config: Config, plan: Plan) -> Prepared:
    """Reads the data, brings the weights to this machine, and checks that settings, data and model go together.

    Raises:
        BertexpError: they do not, or something cannot be had.
    """
    dataset = plan.dataset.load()
    judged = dataset.judged_split  # raises before anything is spent if no row could judge the model
    check_examples(config, dataset)
    unlabelled = plan.dataset.load_unlabelled() if plan.dataset.load_unlabelled else None
    plan = plan.fetch(config)
    check_length(config, plan.model.architecture)
    if vocabulary := read_vocabulary(plan.model):
        dataset = dataset.spelled_by(*vocabulary)
    return Prepared(plan, dataset, judged, unlabelled)


def train(
    record: RunRecord,
    prepared: Prepared,
    callbacks: Sequence[Callback] | None = None,
    build: Callable[[Config, Plan, TextDataset], Parts] | None = None,
) -> Trained:
    """Builds the parts and fits the model, from the record's last checkpoint if it goes on with a run.

    Args:
        record: entered; its folder gets the checkpoints, its tracker the metrics.
        callbacks: of the trainer; None: a progress report.
        build: makes the parts; None: ``build_parts``.
    """
    say(labelled("loading", "TensorFlow"))
    devices.prepare()
    from bertexp.runs.stages.frozen_layers import keep_activations
    from bertexp.runs.stages.parts import build_parts
    from bertexp.training.callbacks import ProgressReport
    from bertexp.training.checkpoint import CheckpointStore
    from bertexp.training.trainer import Trainer

    config, kept = record.config, record.folder.checkpoints
    parts = (build or build_parts)(config, prepared.plan, prepared.dataset)
    say(parts.summary.text())
    record.tracker.log_dict(parts.summary.as_dict(), "dataset.json")
    dataset = parts.dataset
    record.tracker.log_dataset(dataset.name, dataset.splits, dataset.fingerprint, dataset.source)
    reports = [ProgressReport()] if callbacks is None else callbacks
    trainer = Trainer(config.trainer, kept, reports, record.tracker, config.run.seed, record.stop)
    resume_from = CheckpointStore(kept, 1).latest() if record.resumed else None
    state = trainer.fit(parts.module, keep_activations(config, parts), resume_from)
    return Trained(parts, trainer, state)


def judge(record: RunRecord, prepared: Prepared, trained: Trained) -> Judged:
    """Tests the model on every labelled test split, reports the result, and predicts the splits without labels."""
    # after the fit, whose first step would wait for them
    from bertexp.runs.stages.results import predict_split, report_results, say_further_test, test_split
    from bertexp.runs.stages.submission import write_submission

    config, folder, tracker = record.config, record.folder, record.tracker
    parts, trainer, state = trained.parts, trained.trainer, trained.state
    test = test_split(trainer, parts, prepared.judged, folder, tracker)
    intervals = report_results(parts, state, test, folder, tracker)
    metrics = state.chosen_metrics() | test.metrics
    for split in parts.dataset.further_tests:
        further = test_split(trainer, parts, split, folder, tracker)
        say_further_test(parts, further)
        metrics |= further.metrics
    if "test" in parts.dataset.splits and prepared.judged != "test":
        predict_split(trainer, parts, "test", folder, tracker)
    if prepared.unlabelled and not config.trainer.fast_dev_run:
        write_submission(config, parts, prepared.unlabelled, folder, tracker)
    folder.update_info(metrics=metrics, intervals=intervals, tests_on_validation=parts.dataset.tests_on_validation)
    return Judged(metrics, intervals)


def ship(record: RunRecord, trained: Trained, verifier: Verifier) -> VerifyReport:
    """Exports the model, has ``verifier`` reproduce it, and hands it to the tracker.

    Raises:
        ExportError: the export cannot be reloaded or differs by more than ``export.tolerance``.
    """
    from bertexp.serving.saved_model.shipping import export_model

    report = export_model(record.config, trained.parts, verifier, record.folder, record.tracker)
    record.folder.update_info(export_difference=report.max_difference)
    return report
