"""Classification of a text or a pair of texts: head size, loss, metrics, decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from bertexp.tasks.base import TextTask
from bertexp.tasks.classification.spec import ClassificationSpec


class Classification(TextTask):
    """One label out of ``label_names`` per text.

    Two classes with ``binary_head="sigmoid"`` take one logit, the log-odds of the second class; otherwise there is one
    logit per class.
    """

    spec = ClassificationSpec()
    batch_metric = "accuracy"

    def __init__(self, label_names: Sequence[str], binary_head: str = "sigmoid", main_metric: str = "accuracy"):
        self.label_names = tuple(label_names)
        self.one_logit = len(self.label_names) == 2 and binary_head == "sigmoid"
        self.units = 1 if self.one_logit else len(self.label_names)
        self.main_metric = main_metric

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats, <float32>[batch], of labels <int32>[batch] under logits <float32>[batch, units]."""
        if self.one_logit:
            targets = tf.cast(labels, tf.float32)
            return tf.nn.sigmoid_cross_entropy_with_logits(targets, logits[:, 0])
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], 1 where the likeliest class is the label."""
        if self.one_logit:
            predicted = tf.cast(logits[:, 0] > 0, labels.dtype)
        else:
            predicted = tf.argmax(logits, axis=-1, output_type=labels.dtype)
        return tf.cast(predicted == labels, tf.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits <float32>[rows, units]."""
        if self.one_logit:
            positive = np.exp(-np.logaddexp(0.0, -logits[:, :1]))
            return np.concatenate([1.0 - positive, positive], axis=1).astype(np.float32)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The probabilities <float32>[rows, classes]."""
        return self.probabilities(logits)

    def metrics(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """Loss and quality of logits <float32>[rows, units] against classes <int32>[rows].

        Two classes: precision, recall and F1 of the second class. More: their unweighted means over the classes, and
        ROC AUC one against the rest (Hand and Till 2001). ROC AUC is left out where a class does not occur.
        """
        from sklearn import metrics as sk  # here, since a run needs it first after an epoch

        probabilities = self.probabilities(logits)
        predicted = probabilities.argmax(axis=1) if not self.one_logit else (logits[:, 0] > 0).astype(np.int32)
        binary = len(self.label_names) == 2
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            truth,
            predicted,
            average="binary" if binary else "macro",
            labels=None if binary else range(len(self.label_names)),
            zero_division=0.0,
        )
        found = {
            "loss": float(self.loss(tf.constant(truth), tf.constant(logits)).numpy().mean(dtype=np.float64)),
            "accuracy": float((predicted == truth).mean()),
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "mcc": float(sk.matthews_corrcoef(truth, predicted)),
        }
        if len(np.unique(truth)) == len(self.label_names):
            found["roc_auc"] = float(
                sk.roc_auc_score(truth, probabilities[:, 1])
                if binary
                else sk.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
            )
        return found
