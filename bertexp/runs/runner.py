"""The story of a run on one screen: config -> data -> model -> fit -> test -> report -> export -> verify -> track."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config, RunConfig
from bertexp.config.words import command_line, write
from bertexp.errors import ConfigError
from bertexp.models.source.locate import read_vocabulary
from bertexp.runs.folder import own_words, with_former_overrides
from bertexp.runs.plan import describe_plan, make_plan
from bertexp.runs.record import RunRecord, RunResult
from bertexp.system.console import log_to, say

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.runs.parts import Parts
    from bertexp.training.checkpoint import LoopState
    from bertexp.training.trainer import Trainer


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
    dataset = plan.dataset.load()
    judged = dataset.judged_split  # raises before anything is spent where no row could judge the model
    _check_examples(config, dataset)
    unlabelled = plan.dataset.load_unlabelled() if plan.dataset.load_unlabelled else None
    plan.model.fetch()
    if vocabulary := read_vocabulary(plan.model, config.model):
        dataset = dataset.spelled_by(*vocabulary)
    record = RunRecord(config, folder, overrides, dataset.fingerprint)
    with log_to(record.folder.log_file, redirect_stderr=owns_process), record:
        say(f"run        {record.folder.path}")
        say("loading    TensorFlow")
        from bertexp.runs.parts import build_parts

        parts = build_parts(config, plan, dataset)
        _look(config, parts, record)
        trainer, state = _train(config, parts, record)
        return _judge_and_ship(trainer, state, parts, judged, unlabelled, record)


def _check_examples(config: Config, dataset: TextDataset) -> None:
    texts = 1 + dataset.has_pair
    for row in config.export.examples:
        if len(row) != texts:
            raise ConfigError(
                f"export.examples has a row of {len(row)} texts, {row}, and the model of {dataset.name} reads {texts}: give "
                f"rows such as {['a text', 'another text'][:texts]}"
            )


def _look(config: Config, parts: Parts, record: RunRecord) -> None:
    """Shows and logs the data as the encoder will see them."""
    from bertexp.data.summary import summarize

    data, dataset = parts.data, parts.dataset
    summary = summarize(
        dataset,
        {split: data.full_lengths(split) for split in dataset.splits},
        config.dataset.max_length,
        data.samples(),
        parts.trained_parameters,
        pretrained=config.model.source != "random",
    )
    say(summary.text())
    record.tracker.log_dict(summary.as_dict(), "dataset.json")
    record.tracker.log_dataset(dataset.name, dataset.splits, dataset.fingerprint, dataset.source)


def _train(config: Config, parts: Parts, record: RunRecord) -> tuple[Trainer, LoopState]:
    from bertexp.runs.frozen_layers import keep_activations
    from bertexp.training.callbacks import ProgressReport
    from bertexp.training.checkpoint import CheckpointStore
    from bertexp.training.trainer import Trainer

    kept = record.folder.checkpoints
    trainer = Trainer(config.trainer, kept, [ProgressReport()], record.tracker, config.run.seed, record.stop)
    resume_from = CheckpointStore(kept, 1).latest() if record.resumed else None
    return trainer, trainer.fit(parts.module, keep_activations(config, parts), resume_from)


def _judge_and_ship(
    trainer: Trainer, state: LoopState, parts: Parts, judged: str, unlabelled: TextDataset | None, record: RunRecord
) -> RunResult:
    """Tests the chosen checkpoint, reports, exports, verifies and logs the model; predicts what is to be submitted."""
    # after the fit, whose first step would wait for them
    from bertexp.reports.results import keep_predictions, report_results, say_further_test
    from bertexp.runs.submission import write_submission
    from bertexp.serving.saved_model.shipping import ship
    from bertexp.serving.verify import Verifier

    config, folder, tracker = record.config, record.folder, record.tracker
    exporting = config.export.enabled and not config.trainer.fast_dev_run
    verifier = Verifier() if exporting else None  # it imports TensorFlow beside the test
    try:
        test = trainer.test(parts.module, parts.data, judged)
        intervals = report_results(parts, state, test, folder, tracker)
        metrics = state.chosen_metrics() | test.metrics
        for split in parts.dataset.further_tests:
            further = trainer.test(parts.module, parts.data, split)
            say_further_test(parts, further)
            metrics |= further.metrics
        if "test" in parts.dataset.splits and judged != "test":
            keep_predictions(parts, "test", trainer.predict(parts.module, parts.data, "test"), folder, tracker)
        if unlabelled and not config.trainer.fast_dev_run:
            write_submission(config, parts, unlabelled, folder, tracker)
        exported = ship(config, parts, verifier, folder, tracker) if verifier else None
    finally:
        if verifier:
            verifier.close()
    difference = exported.max_difference if exported else None
    folder.update_info(
        stage="tested",
        metrics=metrics,
        intervals=intervals,
        export_difference=difference,
        tests_on_validation=parts.dataset.tests_on_validation,
    )
    _say_farewell(record, parts, exported is not None)
    return RunResult(
        folder=folder.path,
        metrics=metrics,
        objective=metrics.get(trainer.monitor),
        mlflow_run_id=tracker.run_id,
        model_folder=folder.model_folder if exported else None,
        export_difference=difference,
        intervals=intervals,
        logits=test.outputs.logits,
    )


def _say_farewell(record: RunRecord, parts: Parts, exported: bool) -> None:
    """Three lines to paste."""
    run, tracking = record.config.run, record.config.tracking
    say()
    if record.tracker.run_id:
        where = [write("run.outputs_dir", run.outputs_dir)] if run.outputs_dir != RunConfig.outputs_dir else []
        where += [write("tracking.uri", tracking.uri)] if tracking.uri else []
        say(f"see it     {command_line('ui', *where)}")
    if exported:
        texts = " ".join(f'"{text}"' for text in parts.task.spec.placeholders(parts.dataset.has_pair))
        say(f"use it     {command_line('predict', record.folder.shown)} {texts}")
    say(f"repeat it  {record.command}")
