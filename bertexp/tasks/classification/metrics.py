"""Quality of classification, of which one batch at a time is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_expit, log_softmax

from bertexp.errors import ConfigError
from bertexp.reports.confusions import Confusions, accuracy_of, f1_of, matthews_of, precision_of, recall_of

if TYPE_CHECKING:
    from bertexp.tasks.classification.task import Classification

RANKED_CLASSES = 100  # ROC AUC ranks every row's probability of every class; of more classes it is left out


class ClassificationMetrics:
    """Loss and quality of logits <float32>[batch, units] against classes <int32>[batch].

    Two classes: precision, recall and F1 of the second class. More: their unweighted means over the classes, and ROC AUC
    one against the rest (Hand and Till 2001). ROC AUC is left out if a class does not occur, and above ``RANKED_CLASSES``.

    Kept are the counts of ``confusions``, a sum of losses and, for ROC AUC, one float a row and class.
    """

    def __init__(self, task: Classification):
        self._task = task
        self.confusions = Confusions(len(task.label_names))
        self._loss, self._truth, self._ranked = 0.0, [], []

    @property
    def left_out(self) -> str:
        """What is not measured and why; "" if nothing is left out."""
        return left_out(self.confusions.classes)

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Counts a batch."""
        self._loss += float(cross_entropy(truth, logits).sum(dtype=np.float64))
        self.confusions.add(truth, self._task.decide(logits))
        if not self.left_out:
            chances = self._task.probabilities(logits)
            self._truth.append(truth)
            self._ranked.append(chances[:, 1] if self.confusions.classes == 2 else chances)

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
            from sklearn.metrics import roc_auc_score  # here, since a run needs it first after an epoch

            truth, ranked = np.concatenate(self._truth), np.concatenate(self._ranked)
            values["roc_auc"] = roc_auc_score(truth, ranked, multi_class="ovr", average="macro")
        return {name: float(value) for name, value in values.items()}


def cross_entropy(truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """In nats, <float32>[batch]; arguments as of ``ClassificationMetrics``."""
    if logits.shape[1] == 1:
        return -log_expit(np.where(truth == 1, logits[:, 0], -logits[:, 0]))
    return -log_softmax(logits, axis=1)[np.arange(len(truth)), truth]


def left_out(classes: int) -> str:
    """Why ROC AUC is not measured for so many classes; "" if it is."""
    if classes <= RANKED_CLASSES:
        return ""
    return f"roc_auc is measured for up to {RANKED_CLASSES} classes, and there are {classes:,}"


def check_measured(main_metric: str, classes: int) -> None:
    """Raises ConfigError if the metric that chooses the checkpoint is one that is left out."""
    if main_metric == "roc_auc" and left_out(classes):
        raise ConfigError(f"task.main_metric={main_metric} cannot be had: {left_out(classes)}; choose another one")
