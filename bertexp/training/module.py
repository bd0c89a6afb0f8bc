"""What is trained: a model, its task and its optimizer, in Lightning's words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf
import tf_keras

from bertexp.interfaces import Task
from bertexp.training.features import BatchSpec, Features, FeatureSpec
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.step import TrainStep


class NarrowedTable(Protocol):
    """The rows of an embedding table that a fit can touch."""

    table: tf.Variable
    rows: tf.Variable
    kept: tf.Variable

    def begin(self) -> None: ...
    def take(self) -> None: ...
    def settle(self) -> None: ...


class FineTuningModule:
    """A model with a task's head.

    Args:
        model: ``model(features, training, dropout_seed) -> logits <float32>[batch, units]``.
        task: loss, metrics, main metric.
        make_optimizer: from the number of optimizer steps to a tf_keras optimizer.
        lanes: parts of a batch to work on side by side; above 1 for a model whose call takes ``lanes``.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        task: Task,
        make_optimizer: Callable[[int], tf_keras.optimizers.Optimizer],
        lanes: int = 1,
    ):
        self.model, self.task, self.make_optimizer, self.lanes = model, task, make_optimizer, lanes
        self._call = functools.partial(model, lanes=lanes) if lanes > 1 else model
        self._scaling: tf_keras.mixed_precision.LossScaleOptimizer | None = None
        self._steps: dict[tuple, TrainStep] = {}
        self._narrowed: NarrowedTable | None = None
        self._predict_steps: dict[tuple, Callable[[Features], tf.Tensor]] = {}

    def configure_optimizers(self, total_steps: int) -> tf_keras.optimizers.Optimizer:
        """The optimizer for a run of ``total_steps`` steps; under ``mixed_float16`` one that scales the loss."""
        optimizer, scaling = self.make_optimizer(total_steps), tf_keras.mixed_precision.LossScaleOptimizer
        if tf_keras.mixed_precision.global_policy().name != "mixed_float16" or isinstance(optimizer, scaling):
            return optimizer
        if self._scaling is None or self._scaling.inner_optimizer is not optimizer:
            self._scaling = scaling(optimizer)  # an optimizer can be wrapped once
        return self._scaling

    def narrow_vocabulary(
        self, ids: np.ndarray | None, optimizer: tf_keras.optimizers.Optimizer
    ) -> NarrowedTable | None:
        """Lets a fit train the word embeddings of the pieces ``ids`` <int>[in use] alone, where model and optimizer can.

        The other rows are left to weight decay, of which an ``AdamW`` says how much there is.
        """
        encoder = getattr(self.model, "encoder", None)
        can = ids is not None and type(optimizer) is AdamW and hasattr(encoder, "narrow_vocabulary")
        self._narrowed = encoder.narrow_vocabulary(ids) if can else None
        if self._narrowed is not None:
            self._narrowed.begin()
        return self._narrowed

    @property
    def trained_variables(self) -> list[tf.Variable]:
        """What the optimizer works on: the model's trainable variables, the narrowed table in place of the whole one."""
        narrowed = self._narrowed
        variables = self.model.trainable_variables
        return [narrowed.rows if narrowed and variable is narrowed.table else variable for variable in variables]

    def count_update(self, optimizer: tf_keras.optimizers.Optimizer) -> None:
        """Called in each step's graph before the update: weight decay of the rows that are not in use."""
        if self._narrowed is not None and optimizer.decays(self._narrowed.rows):
            self._narrowed.kept.assign(self._narrowed.kept * (1.0 - tf.cast(optimizer.decay_share(), tf.float64)))

    def settle(self) -> None:
        """Brings all of the model's weights up to date; called before they are read."""
        if self._narrowed is not None:
            self._narrowed.settle()

    def training_step(
        self, features: Features, labels: tf.Tensor, dropout_seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Loss, score and how much there is of both, <float32>[batch] each, under dropout decided by ``dropout_seed`` <int32>[2]."""
        logits = self._call(features, training=True, dropout_seed=dropout_seed)
        return self.task.loss(labels, logits), self.task.score(labels, logits), self.task.weights(labels)

    def predict_step(self, features: Features) -> tf.Tensor:
        """Logits <float32>[batch, units] without dropout."""
        return self._call(features, training=False)

    def compiled_training_step(
        self,
        optimizer: tf_keras.optimizers.Optimizer,
        clip_norm: float | None,
        accumulate: int,
        batches: BatchSpec,
        jit_compile: bool = False,
    ) -> TrainStep:
        """``training_step`` with its update as one graph; fits that share an optimizer share the graph."""
        key = (id(optimizer), id(self._narrowed), clip_norm, accumulate, jit_compile, *sorted(batches.spec))
        if key not in self._steps:
            self._steps = {key: TrainStep(self, optimizer, clip_norm, accumulate, batches, jit_compile)}
        self._steps[key].reset()
        return self._steps[key]

    def compiled_predict_step(self, spec: FeatureSpec) -> Callable[[Features], tf.Tensor]:
        """``predict_step`` as one graph for all batch shapes."""
        key = tuple(sorted(spec))
        if key not in self._predict_steps:
            self._predict_steps[key] = tf.function(self.predict_step, input_signature=[dict(spec)], autograph=False)
        return self._predict_steps[key]
