"""Multi-label classification (any number of classes for a text, each judged by itself): loss, answer, metrics, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
from scipy.special import expit

from bertexp.data.table import TextDataset
from bertexp.reports.intervals import Interval, ratio_interval, share_interval
from bertexp.reports.statistics import f1_of_sums
from bertexp.tasks.base import BaseTask, PredictionsReport, chance_columns, draw_counted_bars, ranking_left_out, roc_auc
from bertexp.tasks.multi_label.spec import MultiLabelConfig, MultiLabelSpec


def build(settings: MultiLabelConfig, dataset: TextDataset) -> MultiLabel:
    """The task with what the data have to say."""
    return MultiLabel(dataset.label_names, settings.threshold, settings.main_metric)


class MultiLabel(BaseTask):
    """A set of ``label_names`` per text: one logit a class, its log-odds.

    Args:
        label_names: the classes.
        threshold: probability from which on a class is given.
        main_metric: chooses the checkpoint.
    """

    spec = MultiLabelSpec()
    batch_metric = "exact_match"

    def __init__(self, label_names: Sequence[str], threshold: float = 0.5, main_metric: str | None = None):
        super().__init__(MultiLabelConfig(main_metric=main_metric, threshold=threshold), label_names)
        self.threshold = threshold

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Binary cross-entropy in nats, the mean over classes, <float32>[batch]; labels, logits <float32>[batch, classes]."""
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=1)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where exactly the right classes are given."""
        given = tf.sigmoid(logits) >= self.threshold
        return tf.cast(tf.reduce_all(given == (labels > 0), axis=1), tf.float32)

    def serve(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """labels <string>[rows] (", " between several) and probabilities <float32>[rows, classes]."""
        probabilities = tf.sigmoid(logits)
        names = tf.broadcast_to(tf.constant(self.label_names), tf.shape(logits))
        given = tf.ragged.boolean_mask(names, probabilities >= self.threshold)
        return {"labels": tf.strings.reduce_join(given, axis=1, separator=", "), "probabilities": probabilities}

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits of the same shape."""
        return expit(logits)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The classes that are given, <bool>[rows, classes]."""
        return self.probabilities(logits) >= self.threshold

    def make_metrics(self) -> MultiLabelMetrics:
        """Of one pass over a split."""
        return MultiLabelMetrics(self)

    def make_report(self) -> MultiLabelReport:
        """Of its predictions, with pictures."""
        return MultiLabelReport(self)


class MultiLabelMetrics:
    """Loss and quality of logits against members (1) and others (0), both <float32>[batch, classes].

    Precision, recall and F1 are over all decisions at once (micro); ``f1_macro`` is the mean over classes; ``roc_auc`` is
    the mean over the classes that have both members and others, and is left out above 100 classes.

    Kept are four numbers a row, three a class, a sum of losses and, for ROC AUC, one float a row and class.
    """

    def __init__(self, task: MultiLabel):
        self._task = task
        self.left_out = ranking_left_out(task.units)
        self.by_class = np.zeros((task.units, 3), np.int64)  # hits, given and wanted ones
        self._loss, self._by_row, self._ranked = 0.0, [], []

    @property
    def by_row(self) -> np.ndarray:
        """<int32>[rows, 4]: classes of each row that were hit, given and wanted; whether exactly the wanted were given."""
        return np.concatenate(self._by_row)

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Counts a batch."""
        given, wanted = self._task.decide(logits), truth > 0
        self._loss += float(np.sum(self._task.loss(truth, logits), dtype=np.float64))
        sets = (given & wanted, given, wanted)
        self.by_class += np.stack([members.sum(axis=0) for members in sets], axis=1)
        counts = [members.sum(axis=1, dtype=np.int32) for members in sets]
        self._by_row.append(np.stack([*counts, (given == wanted).all(axis=1)], axis=1))
        if not self.left_out:
            self._ranked.append((wanted, logits))

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one row must have been counted."""
        right, (hits, given, wanted) = self.by_row[:, 3], self.by_class.sum(axis=0)
        values = {
            "loss": self._loss / len(right),
            "f1": f1_of_sums(self.by_class.sum(axis=0)),
            "f1_macro": f1_of_sums(self.by_class).mean(),
            "precision": hits / max(given, 1),
            "recall": hits / max(wanted, 1),
            "exact_match": right.mean(),
        }
        both = (self.by_class[:, 2] > 0) & (self.by_class[:, 2] < len(right))
        if self._ranked and both.any():
            values["roc_auc"] = roc_auc(self._ranked, both)
        return {name: float(value) for name, value in values.items()}


class MultiLabelReport(PredictionsReport):
    """F1 of each class, the sets that were given."""

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        names, spell = self._task.label_names, self._task.spec.spell
        given = [spell(np.flatnonzero(row), names) for row in self._task.decide(logits)]
        chances = chance_columns(self._task.probabilities(logits), self._names)
        return {"predicted": pa.array(given, pa.string())} | chances

    def intervals(self, metrics: MultiLabelMetrics) -> dict[str, Interval | None]:
        hits, given, wanted, right = metrics.by_row.T
        return {
            "f1": ratio_interval(hits, (given + wanted) / 2),
            "exact_match": share_interval(right.mean(), len(right)),
        }

    def draw(self, metrics: MultiLabelMetrics, path: Path, figures: Path) -> None:
        wanted = dict(zip(self._task.label_names, metrics.by_class[:, 2], strict=True))
        draw_counted_bars(
            wanted, f1_of_sums(metrics.by_class), "F1 of each class (rows of it)", figures / "classes.png"
        )
