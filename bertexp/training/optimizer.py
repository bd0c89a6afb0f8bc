"""AdamW as BERT uses it, one fused dense operation per variable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras

from bertexp.config.schema import OptimizerConfig
from bertexp.training.length import count_warmup_steps
from bertexp.training.schedule import Schedule

NO_DECAY = ("LayerNorm", "layer_norm", "bias")


@dataclass(frozen=True)
class _Scalars:
    """What an update is the same for in all variables, <float32>[] each."""

    rate: tf.Tensor
    decay: tf.Tensor  # the share of a variable that weight decay takes
    beta_1_power: tf.Tensor
    beta_2_power: tf.Tensor


class AdamW(tf_keras.optimizers.Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1 in its efficient order) with decoupled weight decay (Loshchilov and Hutter 2019).

    The update equals Model Garden's ``AdamWeightDecay`` on the same gradients: with ``rate = learning_rate *
    schedule(iterations)``, first ``w -= rate * weight_decay * w``, then Adam with epsilon outside the bias correction.
    Sparse gradients are summed into dense ones first: that gives the same update, since Adam's moments decay for every
    row anyway, and lets one fused kernel do the work.

    ``learning_rate`` stays a plain variable, the peak rate, so that Keras callbacks can change it: ReduceLROnPlateau
    scales the whole remaining schedule.
    """

    def __init__(
        self,
        learning_rate: float,
        schedule: Schedule | None = None,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        exclude_from_weight_decay: Sequence[str] = NO_DECAY,
        name: str = "AdamW",
    ):
        super().__init__(name=name, weight_decay=None, jit_compile=False)  # Keras's 0 is one more pass over the weights
        self._learning_rate = self._build_learning_rate(learning_rate)
        self._schedule = schedule
        self._decay_rate = weight_decay
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self._excluded = re.compile("|".join(exclude_from_weight_decay) or "$^")
        self._scalars: _Scalars | None = None  # of the update that is being made

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Makes the two moments of each variable; safe to call again with the same list."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._momentums = [self.add_variable_from_reference(v, "m") for v in var_list]
        self._velocities = [self.add_variable_from_reference(v, "v") for v in var_list]
        self._built = True

    def current_learning_rate(self) -> tf.Tensor:
        """<float32>[]: the rate of the next update."""
        rate = tf.cast(self._learning_rate, tf.float32)
        return rate if self._schedule is None else rate * self._schedule(self.iterations)

    def decay_of(self, variable: tf.Variable) -> tf.Tensor:
        """<float64>[]: the share of ``variable`` that weight decay takes in the next update."""
        if not self._decay_rate or self._excluded.search(variable.name):
            return tf.constant(0.0, tf.float64)
        return tf.cast(self.current_learning_rate(), tf.float64) * self._decay_rate

    def restart(self, learning_rate: float, total_steps: int, warmup_steps: int) -> None:
        """Begins anew with another peak rate and length; what was compiled with this optimizer stays valid."""
        self._learning_rate.assign(learning_rate)
        if self._schedule is not None:
            self._schedule.set_length(total_steps, warmup_steps)
        for variable in self.variables:
            if variable is not self._learning_rate:
                variable.assign(tf.zeros_like(variable))

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]], *args: Any, **kwargs: Any
    ) -> tf.Variable:
        """Updates the variables; see ``tf_keras.optimizers.Optimizer.apply_gradients``."""
        step, rate = tf.cast(self.iterations + 1, tf.float32), self.current_learning_rate()
        # Once for all variables: each of a hundred would read the counter and work through the schedule anew.
        self._scalars = _Scalars(rate, rate * self._decay_rate, tf.pow(self.beta_1, step), tf.pow(self.beta_2, step))
        try:
            return super().apply_gradients(grads_and_vars, *args, **kwargs)
        finally:
            self._scalars = None

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Updates one variable in place; called by ``apply_gradients``."""
        index = self._index_dict[self._var_key(variable)]
        scalars, dtype = self._scalars, variable.dtype
        if self._decay_rate and not self._excluded.search(variable.name):
            # Into a buffer that takes the old one's place: assign_sub would copy what it reads first. The factor 1 - decay
            # would cost one pass less, but float32 has but three or four steps between 1 and 1 - 3e-7.
            variable.assign(variable - tf.cast(scalars.decay, dtype) * variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.cast(scalars.beta_1_power, dtype),
            beta2_power=tf.cast(scalars.beta_2_power, dtype),
            lr=tf.cast(scalars.rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.convert_to_tensor(gradient),
        )

    def get_config(self) -> dict[str, Any]:
        """Settings as Keras wants them; the schedule is not part of it."""
        return super().get_config() | {
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "weight_decay": self._decay_rate,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


def build_optimizer(config: OptimizerConfig, learning_rate: float, total_steps: int) -> AdamW:
    """Makes the configured optimizer for a run of ``total_steps`` optimizer steps.

    ``adam`` is the same rule without weight decay.
    """
    warmup = count_warmup_steps(total_steps, config.warmup_fraction, config.warmup_steps)
    return AdamW(
        learning_rate,
        Schedule(config.schedule, total_steps, warmup, config.warmup_form),
        weight_decay=config.weight_decay if config.name == "adamw" else 0.0,
        beta_1=config.beta_1,
        beta_2=config.beta_2,
        epsilon=config.epsilon,
    )
