"""What tasks have in common: how they are made and what follows from their logits; ROC AUC, which some of them measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bertexp.config.schema import TaskConfig
from bertexp.errors import ConfigError
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import tensorflow as tf
    import tf_keras

    from bertexp.serving.saved_model.graph import GraphTokenizer, Outputs, Signatures
    from bertexp.serving.spec import ServingSpec

RANKED_CLASSES = 100  # ROC AUC ranks every row's score of every class; of more classes it is left out


class BaseTask:
    """See ``interfaces.Task``; what a subclass leaves out is as of one answer a text, by probabilities of classes.

    Args:
        settings: the task's own.
        label_names: the classes, if there are any.
    """

    spec: TaskSpec
    first_bias = 0.0

    def __init__(self, settings: TaskConfig, label_names: Sequence[str] = ()):
        self.settings, self.label_names = settings, tuple(label_names)
        self.main_metric = settings.main_metric or self.spec.metrics[0]
        self.units = self.spec.count_units(settings, len(self.label_names))

    def weights(self, labels: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], all 1: each example counts once."""
        import tensorflow as tf

        return tf.ones(tf.shape(labels)[:1])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits <float32>[rows, units]."""
        raise NotImplementedError

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The probabilities <float32>[rows, classes]."""
        return self.probabilities(logits)

    def serve(self, logits: tf.Tensor) -> Outputs:
        """What ``serving_default`` gives, from logits <float32>[rows, units]; TensorFlow operations."""
        raise NotImplementedError

    def make_signatures(self, model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
        """``serving_default``, which takes a text or a pair, and ``ids``."""
        from bertexp.serving.saved_model.graph import serve_texts

        return serve_texts(model, tokenizer, spec, self.serve)


def ranking_left_out(classes: int) -> str:
    """Why ROC AUC is not measured for so many classes; "" if it is."""
    if classes <= RANKED_CLASSES:
        return ""
    return f"roc_auc is measured for up to {RANKED_CLASSES} classes, and there are {classes:,}"


def check_measured(main_metric: str, classes: int) -> None:
    """Raises ConfigError if the metric that chooses the checkpoint is one that is left out."""
    if main_metric == "roc_auc" and ranking_left_out(classes):
        raise ConfigError(
            f"task.main_metric={main_metric} cannot be had: {ranking_left_out(classes)}; choose another one"
        )


def roc_auc(batches: Sequence[tuple[np.ndarray, np.ndarray]], classes: np.ndarray | slice = slice(None)) -> float:
    """The mean over ``classes`` of each one's ROC AUC against the rest.

    Args:
        batches: members <bool>[batch, classes] and scores <float>[batch, classes]. A score is a logit or a log-probability:
            probabilities near 1 are all equal to it in float32, and have no ranks any more.
    """
    from sklearn.metrics import roc_auc_score  # here, since a run needs it first after an epoch

    members, scores = (np.concatenate(parts)[:, classes] for parts in zip(*batches, strict=True))
    return roc_auc_score(members, scores, average="macro")
