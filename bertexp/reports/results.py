"""What a finished run shows: metrics with an interval, samples, figures, a table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bertexp.console import say
from bertexp.reports.evaluation import bootstrap_interval, f1_of, matthews_of, sample_predictions, wilson_interval
from bertexp.reports.figures import count_confusions, draw_confusion_matrix, draw_curves, draw_learning_rate, draw_model
from bertexp.reports.model_rows import make_layer_rows

if TYPE_CHECKING:
    from bertexp.assembly import Parts
    from bertexp.runs import RunFolder
    from bertexp.tracking.base import Tracker
    from bertexp.training.checkpoint import LoopState
    from bertexp.training.evaluation import Outputs
    from bertexp.training.trainer import TestResult

_RESAMPLED = {"f1": f1_of, "mcc": matthews_of}  # main metrics whose interval is bootstrapped; accuracy has Wilson's


def report_results(
    parts: Parts, state: LoopState, test: TestResult, folder: RunFolder, tracker: Tracker
) -> tuple[float, float]:
    """Prints the result and six samples; writes figures and the test predictions, and hands them to the tracker.

    Returns:
        The 95% interval of the accuracy.
    """
    rows, labels, logits = test.outputs
    probabilities = parts.task.probabilities(logits)
    predicted = probabilities.argmax(axis=1)
    interval = wilson_interval(int((predicted == labels).sum()), len(labels))
    intervals = {"accuracy": interval}
    main = parts.task.main_metric
    if main in _RESAMPLED:
        counts = count_confusions(labels, predicted, len(parts.dataset.label_names))
        intervals[main] = bootstrap_interval(_RESAMPLED[main], counts)
    _say_metrics(test, intervals)
    for name, (low, high) in intervals.items():
        bounds = {f"{test.split}/{name}_low": low, f"{test.split}/{name}_high": high}
        tracker.log_metrics(bounds, state.step)

    tested = parts.dataset.splits[test.split].take(rows)
    say()
    for line in sample_predictions(tested["text"].to_pylist(), labels, probabilities, parts.dataset.label_names):
        say(line)

    figures = folder.figures
    _draw_history(state, figures)
    draw_confusion_matrix(labels, predicted, parts.dataset.label_names, figures / "confusion_matrix.png")
    draw_model(make_layer_rows(parts), figures / "model.png")
    for figure in sorted(figures.glob("*.png")):
        tracker.log_figure(figure)

    keep_predictions(parts, test.split, test.outputs, folder, tracker)
    return interval


def keep_predictions(parts: Parts, split: str, outputs: Outputs, folder: RunFolder, tracker: Tracker) -> None:
    """Writes ``predictions.parquet`` (of an unlabelled split too) and hands it to the tracker, also as a table."""
    table = _prediction_table(parts, split, outputs)
    pq.write_table(table, folder.path / "predictions.parquet")
    tracker.log_file(folder.path / "predictions.parquet")
    tracker.log_table(table, "predictions.json")


def _say_metrics(test: TestResult, intervals: dict[str, tuple[float, float]]) -> None:
    values = {name.split("/")[1]: value for name, value in test.metrics.items()}
    say()
    for head, (name, (low, high)) in zip(("result", ""), intervals.items(), strict=False):
        shown = f"{test.split}/{name} {values.pop(name):.4f}"
        say(f"{head:<10} {shown}  (95% interval {low:.4f} to {high:.4f}, {len(test.outputs.rows):,} rows)")
    say(f"           {'  '.join(f'{name} {value:.4f}' for name, value in values.items())}")


def _draw_history(state: LoopState, figures: Path) -> None:
    draw_curves(state.history, figures / "curves.png", best_step=state.best_step if state.best_step >= 0 else None)
    rates = [(step, found["train/learning_rate"]) for step, found in state.history if "train/learning_rate" in found]
    if rates:
        draw_learning_rate(rates, figures / "learning_rate.png")


def _prediction_table(parts: Parts, split: str, outputs: Outputs) -> pa.Table:
    """The rows with their label (where known) and prediction in words, its probability, and one column per class."""
    names = parts.dataset.label_names
    probabilities = parts.task.probabilities(outputs.logits)
    in_words = np.array([*names, None], dtype=object)  # -1, an unknown label, is null
    table = parts.dataset.splits[split].take(outputs.rows).drop_columns(["label"])
    table = table.append_column("label", pa.array(in_words[outputs.labels], pa.string()))
    table = table.append_column("predicted", pa.array(in_words[probabilities.argmax(axis=1)], pa.string()))
    table = table.append_column("probability", pa.array(probabilities.max(axis=1)))
    for index, name in enumerate(names):
        table = table.append_column(f"p_{name}", pa.array(probabilities[:, index]))
    return table
