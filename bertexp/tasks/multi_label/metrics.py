"""Quality of sets of classes, of which one batch at a time is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_expit

from bertexp.reports.statistics import f1_of_sums
from bertexp.tasks.classification.metrics import left_out

if TYPE_CHECKING:
    from bertexp.tasks.multi_label.task import MultiLabel


class MultiLabelMetrics:
    """Loss and quality of logits against members (1) and others (0), both <float32>[batch, classes].

    Precision, recall and F1 are over all decisions at once (micro); ``f1_macro`` is the mean over classes; ``roc_auc`` is
    the mean over the classes that have both members and others, and is left out above 100 classes.

    Kept are four numbers a row, three a class, a sum of losses and, for ROC AUC, one float a row and class.
    """

    def __init__(self, task: MultiLabel):
        self._task, self._classes = task, len(task.label_names)
        self.by_class = np.zeros((self._classes, 3), np.int64)  # hits, given and wanted ones
        self._loss, self._by_row, self._right, self._wanted, self._ranked = 0.0, [], [], [], []

    @property
    def left_out(self) -> str:
        """What is not measured and why; "" if nothing is left out."""
        return left_out(self._classes)

    @property
    def by_row(self) -> np.ndarray:
        """<int32>[rows, 3]: classes of each row that were hit, given and wanted."""
        return np.concatenate(self._by_row)

    @property
    def right(self) -> np.ndarray:
        """<bool>[rows]: whether exactly the wanted classes were given."""
        return np.concatenate(self._right)

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Counts a batch."""
        chances, wanted = self._task.probabilities(logits), truth > 0
        given = chances >= self._task.threshold
        losses = -log_expit(np.where(wanted, logits, -logits)).mean(axis=1)
        self._loss += float(losses.sum(dtype=np.float64))
        sets = (given & wanted, given, wanted)
        self.by_class += np.stack([members.sum(axis=0) for members in sets], axis=1)
        self._by_row.append(np.stack([members.sum(axis=1, dtype=np.int32) for members in sets], axis=1))
        self._right.append((given == wanted).all(axis=1))
        if not self.left_out:
            self._wanted.append(wanted)
            self._ranked.append(chances)

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one row must have been counted."""
        right = self.right
        hits, given, wanted = self.by_class.sum(axis=0)
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
            from sklearn.metrics import roc_auc_score  # here, since a run needs it first after an epoch

            members, ranked = np.concatenate(self._wanted)[:, both], np.concatenate(self._ranked)[:, both]
            values["roc_auc"] = roc_auc_score(members, ranked, average="macro")
        return {name: float(value) for name, value in values.items()}
