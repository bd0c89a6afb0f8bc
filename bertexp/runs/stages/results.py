"""What a finished run shows: metrics with an interval, samples, figures, a table of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.reports.pictures.figures import draw_curves, draw_learning_rate, draw_model
from bertexp.reports.pictures.model_rows import make_layer_rows
from bertexp.reports.predictions import write_predictions
from bertexp.system.console import labelled, say

if TYPE_CHECKING:
    from bertexp.runs.folder import RunFolder
    from bertexp.runs.stages.parts import Parts
    from bertexp.tracking.base import Tracker
    from bertexp.training.checkpoint import LoopState
    from bertexp.training.evaluation import Batch
    from bertexp.training.trainer import TestResult, Trainer


def test_split(trainer: Trainer, parts: Parts, split: str, folder: RunFolder, tracker: Tracker) -> TestResult:
    """Tests a labelled split; writes its predictions on the way and hands them to the tracker."""
    with _kept(parts, split, folder, tracker) as keep:
        return trainer.test(parts.module, parts.data, split, after_batch=keep)


def predict_split(trainer: Trainer, parts: Parts, split: str, folder: RunFolder, tracker: Tracker) -> None:
    """Writes the predictions of a split without labels and hands them to the tracker."""
    with _kept(parts, split, folder, tracker) as keep:
        for batch in trainer.predict(parts.module, parts.data, split):
            keep(batch)


def report_results(
    parts: Parts, state: LoopState, test: TestResult, folder: RunFolder, tracker: Tracker
) -> dict[str, tuple[float, float]]:
    """Prints the result of ``test_split`` and six samples; draws figures, and hands them and a table to the tracker.

    Returns:
        95% intervals by metric, such as ``test/accuracy``; the main metric's first if it has one.
    """
    report, path = parts.task.make_report(), folder.predictions()
    intervals = report.intervals(test.measured)
    _say_metrics(test, intervals)
    for name, (low, high) in intervals.items():
        bounds = {f"{test.split}/{name}_low": low, f"{test.split}/{name}_high": high}
        tracker.log_metrics(bounds, state.step)
    for hint in filter(None, (test.measured.left_out, report.find_sameness(path))):
        say(labelled("hint", hint))
    say()
    for line in report.samples(path):
        say(line)

    _draw_history(parts, state, folder.figures)
    report.draw(test.measured, path, folder.figures)
    draw_model(make_layer_rows(parts), folder.figures / "model.png")
    for figure in sorted(folder.figures.glob("*.png")):
        tracker.log_figure(figure)
    tracker.log_table(path, "predictions.json")
    return {f"{test.split}/{name}": bounds for name, bounds in intervals.items()}


def say_further_test(parts: Parts, test: TestResult) -> None:
    """Prints the result on another test set in one line."""
    name = f"{test.split}/{parts.task.main_metric}"
    say(labelled("also", f"{name} {test.metrics[name]:.4f}  ({test.rows:,} rows)"))


@contextmanager
def _kept(parts: Parts, split: str, folder: RunFolder, tracker: Tracker) -> Iterator[Callable[[Batch], None]]:
    """Gives what takes the batches of a split, whose predictions are a file of their own at the end."""
    path = folder.predictions(None if split == parts.dataset.judged_split else split)
    with write_predictions(path, parts.dataset, split, parts.task.make_report()) as keep:
        yield keep
    tracker.log_file(path)


def _say_metrics(test: TestResult, intervals: dict[str, tuple[float, float]]) -> None:
    values = {name.split("/")[1]: value for name, value in test.metrics.items()}
    say()
    for head, (name, (low, high)) in zip(("result", ""), intervals.items(), strict=False):
        shown = f"{test.split}/{name} {values.pop(name):.4f}"
        say(labelled(head, f"{shown}  (95% interval {low:.4f} to {high:.4f}, {test.rows:,} rows)"))
    say(labelled("", "  ".join(f"{name} {value:.4f}" for name, value in values.items())))


def _draw_history(parts: Parts, state: LoopState, figures: Path) -> None:
    best_step = state.best_step if state.best_step >= 0 else None
    metrics = dict.fromkeys(("loss", parts.task.batch_metric, parts.task.main_metric))
    draw_curves(state.history, figures / "curves.png", tuple(metrics), best_step)
    rates = [(step, found["train/learning_rate"]) for step, found in state.history if "train/learning_rate" in found]
    if rates:
        draw_learning_rate(rates, figures / "learning_rate.png")
