"""Classification of a text or a pair of texts: loss, answer, metrics, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from scipy.special import expit, log_softmax, softmax

from bertexp.data.table import TextDataset
from bertexp.reports.confusions import Confusions, accuracy_of, f1_of, matthews_of, precision_of, recall_of
from bertexp.reports.intervals import OF_CONFUSIONS, SMALLEST_CLASS, Interval
from bertexp.tasks.base import BaseTask, PredictionsReport, chance_columns, ranking_left_out, roc_auc, sample_line
from bertexp.tasks.classification.spec import ClassificationConfig, ClassificationSpec


def build(settings: ClassificationConfig, dataset: TextDataset) -> Classification:
    """The task with what the data have to say."""
    return Classification(dataset.label_names, settings.binary_head, settings.main_metric)


class Classification(BaseTask):
    """One label out of ``label_names`` per text.

    Two classes with ``binary_head="sigmoid"`` take one logit, the log-odds of the second class; otherwise there is one
    logit per class.
    """

    spec = ClassificationSpec()
    batch_metric = "accuracy"

    def __init__(self, label_names: Sequence[str], binary_head: str = "sigmoid", main_metric: str | None = None):
        super().__init__(ClassificationConfig(main_metric=main_metric, binary_head=binary_head), label_names)
        self.one_logit = self.units < len(self.label_names)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats, <float32>[batch], of labels <int32>[batch] under logits <float32>[batch, units]."""
        if self.one_logit:
            targets = tf.cast(labels, tf.float32)
            return tf.nn.sigmoid_cross_entropy_with_logits(targets, logits[:, 0])
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where the likeliest class is the label."""
        return tf.cast(self._winners(logits) == labels, tf.float32)

    def serve(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """label <string>[rows] and probabilities <float32>[rows, classes]."""
        if self.one_logit:
            positive = tf.sigmoid(logits)
            probabilities = tf.concat([1.0 - positive, positive], axis=1)
        else:
            probabilities = tf.nn.softmax(logits)
        return {
            "label": tf.gather(tf.constant(self.label_names), self._winners(logits)),
            "probabilities": probabilities,
        }

    def _winners(self, logits: tf.Tensor) -> tf.Tensor:
        """The likeliest class <int32>[rows] under logits <float32>[rows, units]."""
        if self.one_logit:
            return tf.cast(logits[:, 0] > 0, tf.int32)
        return tf.argmax(logits, axis=1, output_type=tf.int32)

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The likeliest class <int64>[rows] under logits <float32>[rows, units]."""
        return (logits[:, 0] > 0).astype(np.int64) if self.one_logit else logits.argmax(axis=1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits <float32>[rows, units]."""
        return np.concatenate([expit(-logits), expit(logits)], axis=1) if self.one_logit else softmax(logits, axis=1)

    def rank(self, truth: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Members <bool>[rows, ranked] and scores <float64>[rows, ranked] of the second class of two, else of every class."""
        exact = logits.astype(np.float64)
        if len(self.label_names) == 2:
            return truth[:, None] == 1, exact if self.one_logit else exact[:, 1:] - exact[:, :1]
        return truth[:, None] == np.arange(self.units), log_softmax(exact, axis=1)

    def make_metrics(self) -> ClassificationMetrics:
        """Of one pass over a split."""
        return ClassificationMetrics(self)

    def make_report(self) -> ClassificationReport:
        """Of its predictions, with pictures."""
        return ClassificationReport(self)


class ClassificationMetrics:
    """Loss and quality of logits <float32>[batch, units] against classes <int32>[batch].

    Two classes: precision, recall and F1 of the second class. More: their unweighted means over the classes, and ROC AUC
    one against the rest (Hand and Till 2001). ROC AUC is left out if a class does not occur, and above ``RANKED_CLASSES``.

    Kept are the counts of ``confusions``, a sum of losses and, for ROC AUC, one float a row and class.
    """

    def __init__(self, task: Classification):
        self._task = task
        self.confusions = Confusions(len(task.label_names))
        self.left_out = ranking_left_out(len(task.label_names))
        self._loss, self._ranked = 0.0, []

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Counts a batch."""
        self._loss += float(np.sum(self._task.loss(truth, logits), dtype=np.float64))
        self.confusions.add(truth, self._task.decide(logits))
        if not self.left_out:
            self._ranked.append(self._task.rank(truth, logits))

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one row must have been counted."""
        counts = self.confusions.marginals()
        values = {
            "loss": self._loss / counts.true.sum(),
            "accuracy": accuracy_of(counts),
            "precision": precision_of(counts),
            "recall": recall_of(counts),
            "f1": f1_of(counts),
            "mcc": matthews_of(counts),
        }
        if self._ranked and counts.true.all():
            values["roc_auc"] = roc_auc(self._ranked)
        return {name: float(value) for name, value in values.items()}


class ClassificationReport(PredictionsReport):
    """Confusion matrix, accuracy, probabilities of every class."""

    no_interval = f"a mean over classes has one if each class has {SMALLEST_CLASS} rows"

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        chances, predicted = self._task.probabilities(logits), self._task.decide(logits)
        columns = {"predicted": self._names.take(predicted), "probability": pa.array(chances.max(axis=1))}
        return columns | chance_columns(chances, self._names)

    def intervals(self, metrics: ClassificationMetrics) -> dict[str, Interval | None]:
        names = dict.fromkeys((self._task.main_metric, "accuracy"))
        return {name: OF_CONFUSIONS[name](metrics.confusions) for name in names if name in OF_CONFUSIONS}

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        width = max(map(len, self._task.label_names))
        return [sample_line(row, missed, f"{row['predicted']:{width}} {row['probability']:4.0%}", row["label"])]

    def draw(self, metrics: ClassificationMetrics, path: Path, figures: Path) -> None:
        from bertexp.reports.pictures.figures import draw_confusion_matrix  # matplotlib is needed first after a fit

        draw_confusion_matrix(metrics.confusions, self._task.label_names, figures / "confusion_matrix.png")
