"""The story of a run on one screen: prepare -> train -> judge -> ship; a sweep's trial is the first two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config, RunConfig
from bertexp.config.words import command_line, write
from bertexp.models.source.locate import read_vocabulary
from bertexp.runs.folder import TESTED, own_words, with_former_overrides
from bertexp.runs.plan import Plan, check_examples, check_length, describe_plan, make_plan
from bertexp.runs.record import RunRecord
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
class RunResult:
    """What a run found and where it left it.

    ``metrics`` holds the last value of ``train/…``, the chosen checkpoint's ``val/…`` and the ``test/…`` metrics;
    ``intervals`` are 95% intervals by metric, such as ``test/accuracy``, the main metric's first; ``predictions`` is a
    parquet file of the rows that the run was judged on, with what the model says of each.
    """

    folder: Path
    metrics: dict[str, float]
    objective: float | None
    mlflow_run_id: str | None
    intervals: dict[str, tuple[float, float]]
    predictions: Path
    model_folder: Path | None = None
    export_difference: float | None = None


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
    with log_to(record.folder.log_file, redirect_stderr=owns_process), record.running():
        say(labelled("run", record.folder.path))
        trained = train(record, prepared)
        with Verifier() if exports else nullcontext() as verifier:  # it imports TensorFlow while the model is judged
            result = judge(record, prepared, trained)
            if verifier:
                difference = ship(record, trained, verifier).max_difference
                result = replace(result, model_folder=record.folder.model_folder, export_difference=difference)
        record.folder.update_info(stage=TESTED)
        say_farewell(record, trained.parts.dataset, exported=result.model_folder is not None)
        return result


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
    check_length(config, plan.model.positions)
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
        record: running; its folder gets the checkpoints, its tracker the metrics.
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


def judge(record: RunRecord, prepared: Prepared, trained: Trained) -> RunResult:
    """Tests the model on every labelled test split, reports the result, and predicts the splits without labels."""
    # after the fit, whose first step would wait for them
    from bertexp.runs.stages.results import predict_split, report_results, test_split, write_submission

    folder, parts = record.folder, trained.parts
    test = test_split(record, trained, prepared.judged)
    intervals = report_results(record, trained, test)
    metrics = trained.state.chosen_metrics() | test.metrics
    for split in parts.dataset.further_tests:
        further = test_split(record, trained, split)
        name = f"{split}/{parts.task.main_metric}"
        say(labelled("also", f"{name} {further.metrics[name]:.4f}  ({further.rows:,} rows)"))
        metrics |= further.metrics
    if "test" in parts.dataset.splits and prepared.judged != "test":
        predict_split(record, trained, "test")
    if prepared.unlabelled and not record.config.trainer.fast_dev_run:
        write_submission(record, parts, prepared.unlabelled)
    folder.update_info(metrics=metrics, intervals=intervals, tests_on_validation=parts.dataset.tests_on_validation)
    objective = metrics.get(trained.trainer.monitor)
    return RunResult(folder.path, metrics, objective, record.tracker.run_id, intervals, folder.predictions())


def ship(record: RunRecord, trained: Trained, verifier: Verifier) -> VerifyReport:
    """Exports the model, has ``verifier`` reproduce it, and hands it to the tracker.

    Raises:
        ExportError: the export cannot be reloaded or differs by more than ``export.tolerance``.
    """
    from bertexp.serving.saved_model.export import ship_model

    report = ship_model(record.config, trained.parts, verifier, record.folder, record.tracker)
    record.folder.update_info(export_difference=report.max_difference)
    return report


def say_farewell(record: RunRecord, dataset: TextDataset, exported: bool) -> None:
    """Three lines to paste."""
    run, tracking = record.config.run, record.config.tracking
    say()
    if record.tracker.run_id:
        where = [write("run.outputs_dir", run.outputs_dir)] if run.outputs_dir != RunConfig.outputs_dir else []
        where += [write("tracking.uri", tracking.uri)] if tracking.uri else []
        say(labelled("see it", command_line("ui", *where)))
    if exported:
        texts = " ".join(f'"{text}"' for text in dataset.spec.placeholders(dataset.has_pair))
        say(labelled("use it", f"{command_line('predict', record.folder.shown)} {texts}"))
    say(labelled("repeat it", record.command))
