"""What a finished run shows: metrics with an interval, figures, a table of predictions, samples."""

from __future__ import annotations

from collections.abc import Sequence
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
    from bertexp.training.trainer import TestResult


def report_results(
    parts: Parts,
    history: Sequence[tuple[int, dict[str, float]]],
    test: TestResult,
    folder: RunFolder,
    tracker: Tracker,
) -> tuple[float, float]:
    """Prints the result and six samples; writes figures and the test predictions, and hands them to the tracker.

    Returns:
        The 95% interval of the test accuracy.
    """
    chosen_rows, labels, logits = test.outputs
    probabilities = parts.task.probabilities(logits)
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == labels).sum())
    interval = wilson_interval(correct, len(labels))
    _say_metrics(test.metrics, interval, len(labels))

    rows = parts.dataset.splits["test"].take(chosen_rows)
    texts = rows["text"].to_pylist()
    say()
    for line in sample_predictions(texts, labels, probabilities, parts.dataset.label_names):
        say(line)

    folder.figures.mkdir(parents=True, exist_ok=True)
    draw_curves(history, folder.figures / "curves.png")
    draw_learning_rate(
        [(step, found["train/learning_rate"]) for step, found in history if "train/learning_rate" in found],
        folder.figures / "learning_rate.png",
    )
    names = parts.dataset.label_names
    draw_confusion_matrix(labels, predicted, names, folder.figures / "confusion_matrix.png")
    draw_model(make_layer_rows(parts), folder.figures / "model.png")
    for figure in sorted(folder.figures.glob("*.png")):
        tracker.log_figure(figure)

    table = rows.append_column("predicted", pa.array(np.array(names, object)[predicted]))
    table = table.set_column(table.column_names.index("label"), "label", pa.array(np.array(names, object)[labels]))
    table = table.append_column("probability", pa.array(probabilities.max(axis=1)))
    for index, name in enumerate(names):
        table = table.append_column(f"p_{name}", pa.array(probabilities[:, index]))
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
    rest = [f"{name} {value:.4f}" for name, value in metrics.items() if name != "test/accuracy"]
    say(f"           {'  '.join(rest)}")
