"""What is trained: a model, its task and its optimizer, in Lightning's words."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tf_keras

from bertexp.config.schema import TrainerConfig
from bertexp.interfaces import Task
from bertexp.training.batches import Features, FeatureSpec, TrainBatches
from bertexp.training.lanes import call_in_lanes
from bertexp.training.step import TrainStep
from bertexp.training.words_in_use import find_words_in_use


class FineTuningModule:
    """A model with a task's head.

    Args:
        model: ``model(features, training, dropout_seed) -> logits <float32>[batch, units]``, whose rows do not depend on
            each other.
        task: loss, metrics, main metric.
        make_optimizer: from the number of optimizer steps to a tf_keras optimizer.
        lanes: parts of a batch to work on side by side.
    """

    def __init__(
        self,
        model: tf_keras.Model,
        task: Task,
        make_optimizer: Callable[[int], tf_keras.optimizers.Optimizer],
        lanes: int = 1,
    ):
        self.model, self.task, self.make_optimizer, self.lanes = model, task, make_optimizer, lanes
        self._scaling: tf_keras.mixed_precision.LossScaleOptimizer | None = None
        self._steps: dict[tuple, TrainStep] = {}
        self._predict_steps: dict[tuple, Callable[[Features], tf.Tensor]] = {}

    def configure_optimizers(self, total_steps: int) -> tf_keras.optimizers.Optimizer:
        """The optimizer for a run of ``total_steps`` steps; under ``mixed_float16`` one that scales the loss."""
        optimizer, scaling = self.make_optimizer(total_steps), tf_keras.mixed_precision.LossScaleOptimizer
        if tf_keras.mixed_precision.global_policy().name != "mixed_float16" or isinstance(optimizer, scaling):
            return optimizer
        if self._scaling is None or self._scaling.inner_optimizer is not optimizer:
            self._scaling = scaling(optimizer)  # an optimizer can be wrapped once
        return self._scaling

    def training_step(
        self, features: Features, labels: tf.Tensor, dropout_seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Loss, score and how much there is of both, <float32>[batch] each.

        ``dropout_seed`` <int32>[3] is run seed, step, and the number of the first row in the batch that these are part of.
        """

        def call(part: Features, seed: tf.Tensor | None) -> tf.Tensor:
            return self.model(part, training=True, dropout_seed=seed)

        logits = call_in_lanes(call, features, self.lanes, dropout_seed)
        return self.task.loss(labels, logits), self.task.score(labels, logits), self.task.weights(labels)

    def predict_step(self, features: Features) -> tf.Tensor:
        """Logits <float32>[batch, units] without dropout."""
        return call_in_lanes(lambda part, _: self.model(part, training=False), features, self.lanes)

    def compiled_training_step(
        self,
        optimizer: tf_keras.optimizers.Optimizer,
        config: TrainerConfig,
        batches: TrainBatches,
        words_in_use: bool = False,
    ) -> TrainStep:
        """``training_step`` with its update as one graph; fits that share an optimizer share the graph.

        ``words_in_use`` lets it train the word embeddings in use alone, if that pays.
        """
        ids = batches.vocabulary() if words_in_use else None
        rules = (config.gradient_clip_norm, config.accumulate_grad_batches, config.jit_compile, config.rewrite_graphs)
        key = (id(optimizer), None if ids is None else ids.tobytes(), rules, *sorted(batches.spec))
        if key not in self._steps:
            words = find_words_in_use(self.model, optimizer, ids)
            self._steps = {key: TrainStep(self, optimizer, config, batches, words)}
        self._steps[key].reset()
        return self._steps[key]

    def compiled_predict_step(self, spec: FeatureSpec) -> Callable[[Features], tf.Tensor]:
        """``predict_step`` as one graph for all batch shapes."""
        key = tuple(sorted(spec))
        if key not in self._predict_steps:
            self._predict_steps[key] = tf.function(self.predict_step, input_signature=[dict(spec)], autograph=False)
        return self._predict_steps[key]
