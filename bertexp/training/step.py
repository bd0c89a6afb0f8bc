"""One optimizer step: forward, backward, clipping, update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tensorflow as tf
import tf_keras

from bertexp.training.features import BatchSpec

if TYPE_CHECKING:
    from bertexp.training.module import FineTuningModule

_SEED = tf.TensorSpec([2], tf.int32)


@contextlib.contextmanager
def _graphs_as_written() -> Iterator[None]:
    """On a CPU, what is called inside is not rewritten by TensorFlow's Grappler.

    It takes a second or two before the first step and brings training nothing; inference it makes faster by a quarter.
    """
    if tf.config.get_visible_devices("GPU"):  # where it was not measured
        yield
        return
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


def sum_rows(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    """A sparse gradient with each row of its table once, at most: only then is its norm the true one."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


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
        clip_norm: float | None,
        accumulate: int,
        batches: BatchSpec,
        jit_compile: bool = False,
    ):
        self._module, self._optimizer, self._clip_norm, self._accumulate = module, optimizer, clip_norm, accumulate
        self._scaled = isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
        self._variables = module.trained_variables
        self._sum_up = tf.convert_to_tensor if jit_compile else sum_rows  # shapes that data decide do not suit XLA
        self._batches_waiting, self._rows_wait = 0, False  # for their update
        self._sums: list[tf.Variable] = []
        # input signatures bound the number of traced graphs to one per function, whatever the batch shapes
        signature = [dict(batches.spec), batches.label_spec, _SEED]
        how = {"autograph": False, "jit_compile": jit_compile or None}
        self._direct = tf.function(self._update_at_once, input_signature=signature, **how)
        self._collect = tf.function(self._add_gradients, input_signature=signature, **how)
        self._apply = tf.function(self._apply_sums, input_signature=[], **how)

    def reset(self) -> None:
        """Forgets gradients that wait for their update."""
        self._batches_waiting, self._rows_wait = 0, False
        self._clear_sums()

    def _clear_sums(self) -> None:
        for total in self._sums:
            total.assign(tf.zeros_like(total))

    def __call__(
        self,
        features: dict[str, tf.Tensor],
        labels: tf.Tensor,
        dropout_seed: tf.Tensor,
        complete: bool = True,
        last: bool = False,
    ) -> tuple[tf.Tensor, bool]:
        """Takes rows, with which a batch is ``complete`` or not, and the ``last`` one of an epoch.

        Returns statistics and whether the weights were updated. The statistics are <float32>[6]: summed loss, score and
        weight of these rows, and their number; gradient norm before clipping and number of updates (both 0 without one).
        """
        with _graphs_as_written():
            if self._accumulate == 1 and complete and not self._rows_wait:
                return self._direct(features, labels, dropout_seed), True
            if not self._sums:
                self._sums = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._variables]
                self._sums.append(tf.Variable(0.0, trainable=False))  # of the weights
            statistics = self._collect(features, labels, dropout_seed)
            self._rows_wait = True
            self._batches_waiting += int(complete)
            if not complete or (self._batches_waiting < self._accumulate and not last):
                return statistics, False
            self._batches_waiting, self._rows_wait = 0, False
            return statistics + self._apply(), True

    def _gradients(
        self, features: dict[str, tf.Tensor], labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[list[tf.Tensor | tf.IndexedSlices | None], tf.Tensor]:
        """Gradients of the mean loss, and the statistics."""
        with tf.GradientTape() as tape:
            losses, scores, weights = self._module.training_step(features, labels, seed)
            weight = tf.reduce_sum(weights)
            loss = tf.math.divide_no_nan(tf.reduce_sum(losses), weight)
            if self._scaled:
                loss = self._optimizer.get_scaled_loss(loss)
        gradients = tape.gradient(loss, self._variables)
        if self._scaled:
            gradients = self._optimizer.get_unscaled_gradients(gradients)
        gradients = [None if gradient is None else self._sum_up(gradient) for gradient in gradients]
        rows = tf.cast(tf.shape(labels)[0], tf.float32)
        return gradients, tf.stack([tf.reduce_sum(losses), tf.reduce_sum(scores), weight, rows, 0.0, 0.0])

    def _update(self, gradients: list[tf.Tensor | tf.IndexedSlices | None]) -> tf.Tensor:
        """Clips and applies the gradients; returns the last two statistics in a <float32>[6]."""
        pairs = [(g, v) for g, v in zip(gradients, self._variables, strict=True) if g is not None]
        found, variables = zip(*pairs, strict=True)
        norm = tf.linalg.global_norm(found)
        if self._clip_norm is not None:
            found, _ = tf.clip_by_global_norm(found, self._clip_norm, use_norm=norm)
        self._module.count_update(self._optimizer)
        # one replica: nothing to sum over, and the summing would keep this graph alive for good (a registered gradient)
        self._optimizer.apply_gradients(zip(found, variables, strict=True), skip_gradients_aggregation=True)
        if self._scaled:  # an overflow is the loss scale's to find; that step is skipped
            norm = tf.where(tf.math.is_finite(norm), norm, 0.0)
        return tf.stack([0.0, 0.0, 0.0, 0.0, norm, 1.0])

    def _update_at_once(self, features: dict[str, tf.Tensor], labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        gradients, statistics = self._gradients(features, labels, seed)
        return statistics + self._update(gradients)

    def _add_gradients(self, features: dict[str, tf.Tensor], labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
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
        statistics = self._update(
            [tf.math.divide_no_nan(total, weight) if is_used else None for total, is_used in used]
        )
        self._clear_sums()
        return statistics
