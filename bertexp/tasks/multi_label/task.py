"""Multi-label classification: any number of classes for a text, each judged by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from bertexp.tasks.base import TextTask
from bertexp.tasks.multi_label.spec import MultiLabelSpec


class MultiLabel(TextTask):
    """A set of ``label_names`` per text: one logit a class, its log-odds.

    Args:
        label_names: the classes.
        threshold: probability from which on a class is given.
        main_metric: chooses the checkpoint.
    """

    spec = MultiLabelSpec()
    batch_metric = "exact_match"

    def __init__(self, label_names: Sequence[str], threshold: float = 0.5, main_metric: str = "f1"):
        self.label_names, self.threshold, self.main_metric = tuple(label_names), threshold, main_metric
        self.units = len(self.label_names)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Binary cross-entropy in nats, the mean over classes, <float32>[batch]; labels, logits <float32>[batch, classes]."""
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=1)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where exactly the right classes are given."""
        given = tf.sigmoid(logits) >= self.threshold
        return tf.cast(tf.reduce_all(given == (labels > 0), axis=1), tf.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits of the same shape."""
        return np.exp(-np.logaddexp(0.0, -logits)).astype(np.float32)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The probabilities <float32>[rows, classes]."""
        return self.probabilities(logits)

    def metrics(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """Loss and quality of logits against members (1) and others (0), both <float32>[rows, classes].

        Precision, recall and F1 are over all decisions at once (micro); ``f1_macro`` is the mean over classes;
        ``roc_auc`` is the mean over the classes that have both members and others.
        """
        from sklearn import metrics as sk  # here, since a run needs it first after an epoch

        probabilities, wanted = self.probabilities(logits), truth > 0
        given = probabilities >= self.threshold
        precision, recall, f1, _ = sk.precision_recall_fscore_support(wanted, given, average="micro", zero_division=0.0)
        found = {
            "loss": float(self.loss(tf.constant(truth), tf.constant(logits)).numpy().mean(dtype=np.float64)),
            "f1": float(f1),
            "f1_macro": float(sk.f1_score(wanted, given, average="macro", zero_division=0.0)),
            "precision": float(precision),
            "recall": float(recall),
            "exact_match": float((given == wanted).all(axis=1).mean()),
        }
        both = wanted.any(axis=0) & ~wanted.all(axis=0)
        if both.any():
            found["roc_auc"] = float(sk.roc_auc_score(wanted[:, both], probabilities[:, both], average="macro"))
        return found
