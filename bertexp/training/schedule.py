"""Learning-rate schedules as a factor of the peak rate, per optimizer step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras


class Schedule:
    """Linear warm-up, then a linear decay to zero or a constant rate (Devlin et al. 2019, appendix A.2).

    Args:
        kind: ``linear`` or ``constant``.
        total_steps: optimizer steps of the whole run.
        warmup_steps: steps over which the factor rises from 0.
        warmup_form: ``bert`` lets the decay run from step 0, as the original code and Model Garden's ``WarmUp`` do, so
            the factor falls by ``warmup_steps / total_steps`` where warm-up ends; ``continuous`` decays from 1 after it.
    """

    def __init__(self, kind: str, total_steps: int, warmup_steps: int, warmup_form: str):
        self._kind, self._form = kind, warmup_form
        # variables, so that a compiled step serves runs of other lengths too
        self._total = tf.Variable(0.0, trainable=False)
        self._warmup = tf.Variable(0.0, trainable=False)
        self.set_length(total_steps, warmup_steps)

    def set_length(self, total_steps: int, warmup_steps: int) -> None:
        """Stretches the schedule over another run."""
        self._total.assign(float(max(total_steps, 1)))
        self._warmup.assign(float(warmup_steps))

    def __call__(self, step: Any) -> tf.Tensor:
        """<float32>[] factor in [0, 1] after ``step`` optimizer steps."""
        step = tf.cast(step, tf.float32)
        if self._kind == "constant":
            after = tf.ones_like(step)
        elif self._form == "bert":
            after = 1.0 - tf.minimum(step, self._total) / self._total
        else:
            after = (self._total - tf.minimum(step, self._total)) / tf.maximum(self._total - self._warmup, 1.0)
        return tf.where(step < self._warmup, step / tf.maximum(self._warmup, 1.0), after)


class ScheduledRate(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A peak rate times the schedule's factor, as Keras's own optimizers take it."""

    def __init__(self, peak: float, schedule: Schedule):
        self._peak, self._schedule = peak, schedule

    def __call__(self, step: Any) -> tf.Tensor:
        """<float32>[] rate after ``step`` optimizer steps."""
        return self._peak * self._schedule(step)

    def get_config(self) -> dict[str, Any]:
        """Raises NotImplementedError: the schedule's length is known to a run alone."""
        raise NotImplementedError
