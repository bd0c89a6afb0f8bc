"""One optimizer step: forward, backward, clipping, update; and the sums of what steps tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tf_keras

from bertexp.config.schema import TrainerConfig
from bertexp.errors import TrainingDiverged
from bertexp.training.batches import Features, TrainBatches
from bertexp.training.checkpoint import CheckpointStore, LoopState
from bertexp.training.graphs import graphs_as_written
from bertexp.training.words_in_use import WordsInUse

if TYPE_CHECKING:
    from bertexp.training.module import FineTuningModule

Gradient = tf.Tensor | tf.IndexedSlices | None


def sum_by_index(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    """A sparse gradient with each row of its table once, at most: only then is its norm the true one."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    indices, numbers = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, numbers, tf.size(indices))
    return tf.IndexedSlices(values, indices, gradient.dense_shape)


class TrainStep:
    """Turns batches into updates of a module's trainable variables.

    Calling it with rows computes their gradients; it updates the weights with the mean gradient over all that was counted
    since the last update (rows, or words of them) when ``accumulate`` batches are complete, or an epoch's last one. It
    returns statistics as a tensor and never waits for the device.
    """

    def __init__(
        self,
        module: FineTuningModule,
        optimizer: tf_keras.optimizers.Optimizer,
        config: TrainerConfig,
        batches: TrainBatches,
        words: WordsInUse | None = None,
    ):
        self._optimizer, self.words = optimizer, words
        self._clip_norm, self._accumulate = config.gradient_clip_norm, config.accumulate_grad_batches
        self._rewrite = config.rewrite_graphs
        self._scaled = isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
        trainable = module.model.trainable_variables
        self.variables = words.trained(trainable) if words else trainable
        self._forward = words.in_place(module.training_step) if words else module.training_step
        optimizer.build(self.variables)
        # shapes that data decide do not suit XLA
        self._sum_up = tf.convert_to_tensor if config.jit_compile else sum_by_index
        # for their update: whole batches, and rows of one that is not whole
        self._batches_waiting, self._rows_waiting = 0, 0
        self._sums: list[tf.Variable] = []
        # input signatures bound the number of traced graphs to one per function, whatever the batch shapes
        signature = [dict(batches.spec), batches.label_spec, tf.TensorSpec([3], tf.int32)]
        how: dict[str, Any] = {"autograph": False, "jit_compile": config.jit_compile or None}
        self._direct = tf.function(self._update_at_once, input_signature=signature, **how)
        self._collect = tf.function(self._add_gradients, input_signature=signature, **how)
        self._apply = tf.function(self._apply_sums, input_signature=[], **how)

    def reset(self) -> None:
        """Begins a fit: forgets gradients that wait for their update."""
        self._batches_waiting, self._rows_waiting = 0, 0
        self._clear_sums()
        if self.words:
            self.words.begin()

    def _clear_sums(self) -> None:
        for total in self._sums:
            total.assign(tf.zeros_like(total))

    def __call__(
        self, features: Features, labels: tf.Tensor, seed: tuple[int, int], complete: bool = True, last: bool = False
    ) -> tuple[tf.Tensor, bool]:
        """Takes rows, with which a batch is ``complete`` or not, and the ``last`` one of an epoch.

        ``seed`` is (run seed, number of the batch) and decides dropout. Returns statistics and whether the weights were
        updated. The statistics are <float32>[6]: summed loss, score and weight of these rows, and their number; gradient
        norm before clipping and number of updates (both 0 without one).
        """
        first_row = self._rows_waiting
        dropout_seed = tf.constant([*seed, first_row], tf.int32)
        self._rows_waiting = 0 if complete else first_row + next(iter(features.values())).shape[0]
        with graphs_as_written(self._rewrite):
            if self._accumulate == 1 and complete and not first_row:
                return self._direct(features, labels, dropout_seed), True
            if not self._sums:
                self._sums = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables]
                self._sums.append(tf.Variable(0.0, trainable=False))  # of the weights
            statistics = self._collect(features, labels, dropout_seed)
            self._batches_waiting += int(complete)
            if not complete or (self._batches_waiting < self._accumulate and not last):
                return statistics, False
            self._batches_waiting = 0
            return statistics + self._apply(), True

    def _gradients(self, features: Features, labels: tf.Tensor, seed: tf.Tensor) -> tuple[list[Gradient], tf.Tensor]:
        """Gradients of the mean loss, and the statistics."""
        with tf.GradientTape() as tape:
            losses, scores, weights = self._forward(features, labels, seed)
            weight = tf.reduce_sum(weights)
            loss = tf.math.divide_no_nan(tf.reduce_sum(losses), weight)
            if self._scaled:
                loss = self._optimizer.get_scaled_loss(loss)
        gradients = tape.gradient(loss, self.variables)
        if self._scaled:
            gradients = self._optimizer.get_unscaled_gradients(gradients)
        gradients = [None if gradient is None else self._sum_up(gradient) for gradient in gradients]
        rows = tf.cast(tf.shape(labels)[0], tf.float32)
        return gradients, tf.stack([tf.reduce_sum(losses), tf.reduce_sum(scores), weight, rows, 0.0, 0.0])

    def _update(self, gradients: list[Gradient]) -> tf.Tensor:
        """Clips and applies the gradients; returns the last two statistics in a <float32>[6]."""
        norm = tf.linalg.global_norm(gradients)
        if self._clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, use_norm=norm)
        if self.words:
            self.words.count_decay(self._optimizer)
        pairs = [pair for pair in zip(gradients, self.variables, strict=True) if pair[0] is not None]
        # one replica: nothing to sum over, and the summing would keep this graph alive for good (a registered gradient)
        self._optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
        if self._scaled:  # an overflow is the loss scale's to find; that step is skipped
            norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
        return tf.stack([0.0, 0.0, 0.0, 0.0, norm, 1.0])

    def _update_at_once(self, features: Features, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        gradients, statistics = self._gradients(features, labels, seed)
        return statistics + self._update(gradients)

    def _add_gradients(self, features: Features, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        gradients, statistics = self._gradients(features, labels, seed)
        self._used = [gradient is not None for gradient in gradients]  # a pooler that is not read has no gradient
        *sums, weight = self._sums
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total.assign_add(statistics[2] * tf.convert_to_tensor(gradient))
        weight.assign_add(statistics[2])
        return statistics

    def _apply_sums(self) -> tf.Tensor:
        *sums, weight = self._sums
        used = zip(sums, self._used, strict=True)
        means = [tf.math.divide_no_nan(total, weight) if is_used else None for total, is_used in used]
        statistics = self._update(means)
        self._clear_sums()
        return statistics


class StepStatistics:
    """Sums the statistics of training steps; waits for the device only when it is asked for a figure.

    The sums of the epoch and of the interval since the last logged step lie in ``state``, so that both resume.

    Args:
        state: of the loop.
        score: the name of the score that steps sum.
        store: names the last checkpoint if a loss is no number.
    """

    def __init__(self, state: LoopState, score: str, store: CheckpointStore | None):
        self._state, self._score, self._store = state, score, store
        self._waiting: list[tf.Tensor] = []
        self._clock_started, self._clock_rows = time.monotonic(), 0.0

    def add(self, statistics: tf.Tensor) -> None:
        """Takes the <float32>[6] of one ``TrainStep`` call; does not wait for it."""
        self._waiting.append(statistics)

    def read(self) -> None:
        """Brings the sums up to date.

        Raises:
            TrainingDiverged: a loss or gradient was no finite number.
        """
        if not self._waiting:
            return
        total = np.sum([np.asarray(statistics, np.float64) for statistics in self._waiting], axis=0)
        self._waiting.clear()
        self._state.epoch_sums = (total + self._state.epoch_sums).tolist()
        self._state.interval_sums = (total + self._state.interval_sums).tolist()
        self._clock_rows += float(total[3])
        if not np.isfinite(total).all():
            kept = self._store and self._store.latest()
            raise TrainingDiverged(
                f"the training loss or its gradient is no number any more at step {self._state.step}; lower "
                f"optimizer.learning_rate or set trainer.gradient_clip_norm=1.0 (last good checkpoint: {kept or 'none'})"
            )

    def epoch_means(self) -> dict[str, float]:
        """Mean loss and score of the epoch so far."""
        self.read()
        return self._means(self._state.epoch_sums)

    def end_interval(self) -> dict[str, float]:
        """Means since the last call, and rows per second of pure training; begins a new interval."""
        self.read()
        norm, updates = self._state.interval_sums[4:]
        seconds = time.monotonic() - self._clock_started
        metrics = {f"train/{name}": value for name, value in self._means(self._state.interval_sums).items()} | {
            "train/gradient_norm": norm / max(updates, 1.0),
            "train/examples_per_second": self._clock_rows / max(seconds, 1e-9),
        }
        self._state.interval_sums = [0.0] * 6
        self._clock_started, self._clock_rows = time.monotonic(), 0.0
        return metrics

    def leave_out(self, seconds: float) -> None:
        """Keeps time that was not spent on training out of the throughput."""
        self._clock_started += seconds

    def _means(self, sums: list[float]) -> dict[str, float]:
        loss, score, weight = sums[:3]
        return {"loss": loss / max(weight, 1.0), self._score: score / max(weight, 1.0)}
