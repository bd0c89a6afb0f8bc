"""What a finished run shows and keeps: metrics with an interval, samples, figures, predictions, files to submit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from bertexp.data.sets.glue.locate import GLUE
from bertexp.reports.pictures.figures import draw_curves, draw_learning_rate, draw_model
from bertexp.reports.pictures.model_boxes import make_boxes
from bertexp.reports.predictions import write_predictions
from bertexp.runs.stages.parts import Parts, make_data
from bertexp.system.console import labelled, say
from bertexp.system.files import write_text
from bertexp.training.evaluation import Batch, evaluate

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.runs.record import RunRecord
    from bertexp.runs.runner import Trained
    from bertexp.training.trainer import TestResult


def test_split(record: RunRecord, trained: Trained, split: str) -> TestResult:
    """Tests a labelled split; writes its predictions on the way and hands them to the tracker."""
    with _kept(record, trained.parts, split) as keep:
        return trained.trainer.test(trained.parts.module, trained.parts.data, split, after_batch=keep)


def predict_split(record: RunRecord, trained: Trained, split: str) -> None:
    """Writes the predictions of a split without labels and hands them to the tracker."""
    with _kept(record, trained.parts, split) as keep:
        for batch in trained.trainer.predict(trained.parts.module, trained.parts.data, split):
            keep(batch)


def report_results(record: RunRecord, trained: Trained, test: TestResult) -> dict[str, tuple[float, float]]:
    """Prints the result of ``test_split`` and six samples; draws figures, and hands them and a table to the tracker.

    Returns:
        95% intervals by metric, such as ``test/accuracy``; the main metric's first if it has one.
    """
    folder, tracker = record.folder, record.tracker
    state, task = trained.state, trained.parts.task
    report, path = task.make_report(), folder.predictions()
    measured = report.intervals(test.measured)
    names = sorted(measured, key=lambda name: name != task.main_metric)
    intervals = {name: measured[name] for name in names if measured[name]}
    _say_metrics(test, intervals)
    for name, (low, high) in intervals.items():
        bounds = {f"{test.split}/{name}_low": low, f"{test.split}/{name}_high": high}
        tracker.log_metrics(bounds, state.step)
    without = [f"no interval of {test.split}/{name}: {report.no_interval}" for name in names if name not in intervals]
    for hint in filter(None, (*without, test.measured.left_out, report.find_sameness(path))):
        say(labelled("hint", hint))
    say()
    for line in report.samples(path):
        say(line)

    shown = tuple(dict.fromkeys(("loss", task.batch_metric, task.main_metric)))
    draw_curves(state.history, folder.figures / "curves.png", shown, state.best_step if state.best_step >= 0 else None)
    rates = [(step, entry["train/learning_rate"]) for step, entry in state.history if "train/learning_rate" in entry]
    if rates:
        draw_learning_rate(rates, folder.figures / "learning_rate.png")
    report.draw(test.measured, path, folder.figures)
    draw_model(make_boxes(trained.parts), folder.figures / "model.png")
    for figure in sorted(folder.figures.glob("*.png")):
        tracker.log_file(figure, "figures")
    tracker.log_table(path, "predictions.json")
    return {f"{test.split}/{name}": bounds for name, bounds in intervals.items()}


def write_submission(record: RunRecord, parts: Parts, unlabelled: TextDataset) -> None:
    """Writes ``glue/<name>.tsv`` for each split of ``unlabelled``, as gluebenchmark.com takes it, and hands it to the tracker."""
    glue, folder = GLUE[unlabelled.name], record.folder
    data = make_data(record.config, unlabelled, parts.loaded)
    for name, table in unlabelled.splits.items():
        predicted = np.zeros(table.num_rows, np.int64 if glue.label_names else np.float32)
        for batch in evaluate(parts.module, data.eval_loader(name)):
            answers = parts.task.answers(batch.truth, batch.logits)
            predicted[batch.rows] = answers.argmax(axis=1) if glue.label_names else answers[:, 0]
        lines = [f"{index}\t{answer}" for index, answer in enumerate(glue.spell(predicted.tolist()))]
        path = folder.path / "glue" / f"{name}.tsv"
        write_text(path, "\n".join(["index\tprediction", *lines]) + "\n")
        record.tracker.log_file(path, "glue")
        say(labelled("submit", f"{folder.shown}/glue/{name}.tsv ({table.num_rows:,} rows)"))


@contextmanager
def _kept(record: RunRecord, parts: Parts, split: str) -> Iterator[Callable[[Batch], None]]:
    """Gives what takes the batches of a split, whose predictions are a file of their own at the end."""
    path = record.folder.predictions(None if split == parts.dataset.judged_split else split)
    with write_predictions(path, parts.dataset, split, parts.task.make_report()) as keep:
        yield keep
    record.tracker.log_file(path)


def _say_metrics(test: TestResult, intervals: dict[str, tuple[float, float]]) -> None:
    values = {name.split("/")[1]: value for name, value in test.metrics.items()}
    say()
    for head, (name, (low, high)) in zip(("result", ""), intervals.items(), strict=False):
        shown = f"{test.split}/{name} {values.pop(name):.4f}"
        say(labelled(head, f"{shown}  (95% interval {low:.4f} to {high:.4f}, {test.rows:,} rows)"))
    say(labelled("", "  ".join(f"{name} {value:.4f}" for name, value in values.items())))
