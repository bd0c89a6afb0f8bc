"""What a finished run shows: metrics with an interval, samples, figures, a table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bertexp.reports.pictures.figures import draw_curves, draw_learning_rate, draw_model
from bertexp.reports.pictures.model_rows import make_layer_rows
from bertexp.system.console import say
from bertexp.system.files import atomic_file
from bertexp.tasks.report import make_report

if TYPE_CHECKING:
    from bertexp.runs.folder import RunFolder
    from bertexp.runs.stages.parts import Parts
    from bertexp.tracking.base import Tracker
    from bertexp.training.checkpoint import LoopState
    from bertexp.training.evaluation import Outputs
    from bertexp.training.trainer import TestResult


def report_results(
    parts: Parts, state: LoopState, test: TestResult, folder: RunFolder, tracker: Tracker
) -> dict[str, tuple[float, float]]:
    """Prints the result and six samples; writes figures and the test predictions, and hands them to the tracker.

    Returns:
        95% intervals by metric, such as ``test/accuracy``; the main metric's first where it has one.
    """
    report = make_report(parts, test.split, test.outputs)
    intervals = report.intervals()
    _say_metrics(test, intervals)
    for name, (low, high) in intervals.items():
        bounds = {f"{test.split}/{name}_low": low, f"{test.split}/{name}_high": high}
        tracker.log_metrics(bounds, state.step)
    table = report.table()
    if hint := find_sameness(table, parts.dataset.task):
        say(f"hint       {hint}")
    say()
    for line in report.samples():
        say(line)

    _draw_history(parts, state, folder.figures)
    report.draw(folder.figures)
    draw_model(make_layer_rows(parts), folder.figures / "model.png")
    for figure in sorted(folder.figures.glob("*.png")):
        tracker.log_figure(figure)
    _keep_table(table, parts.dataset.task, folder, tracker)
    return {f"{test.split}/{name}": bounds for name, bounds in intervals.items()}


def find_sameness(table: pa.Table, task: str) -> str | None:
    """Says so where rows of several labels all got one answer: the sign of a model that has learned nothing yet."""

    def different(column: str) -> set:
        found = table[column].drop_null().unique().to_pylist()
        return {tag for tags in found for tag in tags.split(" ")} if task == "tagging" else set(found)

    predicted = different("predicted")
    if len(predicted) > 1 or len(different("label")) < 2:
        return None
    what = "word was tagged" if task == "tagging" else "row was given"
    answer = next(iter(predicted)) or "no answer"
    return f"every {what} {answer}; train longer (trainer.max_epochs) or raise optimizer.learning_rate"


def say_further_test(parts: Parts, test: TestResult) -> None:
    """Prints the result on another test set in one line."""
    name = f"{test.split}/{parts.task.main_metric}"
    say(f"also       {name} {test.metrics[name]:.4f}  ({len(test.outputs.rows):,} rows)")


def keep_predictions(parts: Parts, split: str, outputs: Outputs, folder: RunFolder, tracker: Tracker) -> None:
    """Writes ``predictions.parquet`` (of an unlabelled split too) and hands it to the tracker, also as a table."""
    _keep_table(make_report(parts, split, outputs).table(), parts.dataset.task, folder, tracker)


def _keep_table(table: pa.Table, task: str, folder: RunFolder, tracker: Tracker) -> None:
    table = table.replace_schema_metadata({"task": task})
    with atomic_file(folder.path / "predictions.parquet", "wb") as file:
        pq.write_table(table, file)
    tracker.log_file(folder.path / "predictions.parquet")
    tracker.log_table(table, "predictions.json")


def _say_metrics(test: TestResult, intervals: dict[str, tuple[float, float]]) -> None:
    values = {name.split("/")[1]: value for name, value in test.metrics.items()}
    say()
    for head, (name, (low, high)) in zip(("result", ""), intervals.items(), strict=False):
        shown = f"{test.split}/{name} {values.pop(name):.4f}"
        say(f"{head:<10} {shown}  (95% interval {low:.4f} to {high:.4f}, {len(np.unique(test.outputs.rows)):,} rows)")
    say(f"           {'  '.join(f'{name} {value:.4f}' for name, value in values.items())}")


def _draw_history(parts: Parts, state: LoopState, figures: Path) -> None:
    best_step = state.best_step if state.best_step >= 0 else None
    metrics = dict.fromkeys(("loss", parts.task.batch_metric, parts.task.main_metric))
    draw_curves(state.history, figures / "curves.png", tuple(metrics), best_step)
    rates = [(step, found["train/learning_rate"]) for step, found in state.history if "train/learning_rate" in found]
    if rates:
        draw_learning_rate(rates, figures / "learning_rate.png")
