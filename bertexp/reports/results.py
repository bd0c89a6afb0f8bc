"""What a finished run shows: metrics with an interval, samples, figures, a table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bertexp.console import say
from bertexp.reports.evaluation import sample_predictions, wilson_interval
from bertexp.reports.figures import draw_confusion_matrix, draw_curves, draw_learning_rate, draw_model
from bertexp.reports.model_rows import make_layer_rows

if TYPE_CHECKING:
    from bertexp.assembly import Parts
    from bertexp.runs import RunFolder
    from bertexp.tracking.base import Tracker
    from bertexp.training.checkpoint import LoopState
    from bertexp.training.trainer import TestResult


def report_results(
    parts: Parts, state: LoopState, test: TestResult, folder: RunFolder, tracker: Tracker
) -> tuple[float, float]:
    """Prints the result and six samples; writes figures and the test predictions, and hands them to the tracker.

    Returns:
        The 95% interval of the test accuracy.
    """
    rows, labels, logits = test.outputs
    probabilities = parts.task.probabilities(logits)
    predicted = probabilities.argmax(axis=1)
    interval = wilson_interval(int((predicted == labels).sum()), len(labels))
    _say_metrics(test.metrics, interval, len(labels))
    tracker.log_metrics({"test/accuracy_low": interval[0], "test/accuracy_high": interval[1]}, state.step)

    tested = parts.dataset.splits["test"].take(rows)
    say()
    for line in sample_predictions(tested["text"].to_pylist(), labels, probabilities, parts.dataset.label_names):
        say(line)

    figures = folder.figures
    _draw_history(state, figures)
    draw_confusion_matrix(labels, predicted, parts.dataset.label_names, figures / "confusion_matrix.png")
    draw_model(make_layer_rows(parts), figures / "model.png")
    for figure in sorted(figures.glob("*.png")):
        tracker.log_figure(figure)

    table = _prediction_table(tested, parts.dataset.label_names, labels, predicted, probabilities)
    pq.write_table(table, folder.path / "predictions.parquet")
    tracker.log_file(folder.path / "predictions.parquet")
    tracker.log_table(table, "predictions.json")
    return interval


def _say_metrics(metrics: dict[str, float], interval: tuple[float, float], rows: int) -> None:
    say()
    low, high = interval
    say(
        f"result     test/accuracy {metrics['test/accuracy']:.4f}  (95% interval {low:.4f} to {high:.4f}, {rows:,} rows)"
    )
    rest = [f"{name.removeprefix('test/')} {value:.4f}" for name, value in metrics.items() if name != "test/accuracy"]
    say(f"           {'  '.join(rest)}")


def _draw_history(state: LoopState, figures: Path) -> None:
    draw_curves(state.history, figures / "curves.png", best_step=state.best_step if state.best_step >= 0 else None)
    rates = [(step, found["train/learning_rate"]) for step, found in state.history if "train/learning_rate" in found]
    if rates:
        draw_learning_rate(rates, figures / "learning_rate.png")


def _prediction_table(
    tested: pa.Table, names: tuple[str, ...], labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray
) -> pa.Table:
    """The tested rows with label and prediction in words, its probability, and one column per class."""
    in_words = np.array(names, dtype=object)
    table = tested.drop_columns(["label"])
    table = table.append_column("label", pa.array(in_words[labels]))
    table = table.append_column("predicted", pa.array(in_words[predicted]))
    table = table.append_column("probability", pa.array(probabilities.max(axis=1)))
    for index, name in enumerate(names):
        table = table.append_column(f"p_{name}", pa.array(probabilities[:, index]))
    return table
