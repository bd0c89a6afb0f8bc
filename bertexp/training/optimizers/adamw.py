"""AdamW as BERT uses it, clipping included, in as few passes over memory as TensorFlow's kernels allow."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from bertexp.config.schema import OptimizerConfig
from bertexp.training.schedule import Schedule

NO_DECAY = ("LayerNorm", "layer_norm", "bias")
PUT_OFF = 1e-6  # the largest share of a weight that decay may be behind


class AdamW(tf_keras.optimizers.Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1 in its efficient order) with decoupled weight decay (Loshchilov and Hutter 2019).

    The update equals Model Garden's ``AdamWeightDecay`` on the same gradients: with ``rate = learning_rate *
    schedule(iterations)``, first ``w -= rate * weight_decay * w``, then Adam with epsilon outside the bias correction.
    Sparse gradients are summed into dense ones first: that gives the same update, since Adam's moments decay for every
    row anyway, and lets one fused kernel do the work. It works on one replica.

    Two things cost fewer passes over memory than they are written with:

    - Clipping costs none. Gradients to be scaled by c are left as they are; the kernel gets other betas instead. With the
      moments kept in units, m = M m', the step m = b m + (1 - b) c g is m' = b' m' + (1 - b') g for M' = b M + (1 - b) c and
      b' = b M / M'; likewise v with c squared. The units are two numbers, and go into the rate and epsilon.
    - Decay by less than a millionth of a weight is put off until that much is owed. Such a share is but a few of float32's
      steps: taken in one it is rounded once, and costs its pass in one step of many.

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

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Makes the two moments of each variable; safe to call again with the same list."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._momentums = [self.add_variable_from_reference(v, "m") for v in var_list]
        self._velocities = [self.add_variable_from_reference(v, "v") for v in var_list]
        self._units = self.add_variable([2], tf.float64, name="units")  # of momentums and of velocities
        self._owed = self.add_variable([], tf.float64, name="owed")  # minus the logarithm of the decay still to be made
        self._built = True

    def current_learning_rate(self) -> tf.Tensor:
        """<float32>[]: the rate of the next update."""
        rate = tf.cast(self._learning_rate, tf.float32)
        return rate if self._schedule is None else rate * self._schedule(self.iterations)

    def decay_of(self, variable: tf.Variable) -> tf.Tensor:
        """<float64>[]: the share of ``variable`` whose decay falls due with the next update, which may put it off."""
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
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]],
        *args: Any,
        scale: tf.Tensor | float = 1.0,
        **kwargs: Any,
    ) -> tf.Variable:
        """Updates the variables in place with ``scale`` <float32>[] times the gradients; returns the number of updates.

        Each call is to bring the same variables, whose moments share their units. Keras's other arguments are taken and mean
        nothing here.
        """
        gradients, variables = zip(*(pair for pair in grads_and_vars if pair[0] is not None), strict=True)
        with tf.init_scope():
            self.build(variables)
        rate = self.current_learning_rate()
        self._decay([variable for variable in variables if not self._excluded.search(variable.name)], rate)
        gradients, scale = self._without_spike(gradients, variables, scale)
        (beta_1, beta_2), (momentum_unit, velocity_unit) = self._change_units(scale)
        step = tf.cast(self.iterations + 1, tf.float32)
        shared = {
            "beta1_power": tf.pow(self.beta_1, step),
            "beta2_power": tf.pow(self.beta_2, step),
            "lr": rate * tf.cast(momentum_unit / tf.sqrt(velocity_unit), tf.float32),
            "beta1": beta_1,
            "beta2": beta_2,
            "epsilon": self.epsilon / tf.sqrt(velocity_unit),
        }
        dtypes = {variable.dtype for variable in variables}
        cast = {dtype: {name: tf.cast(value, dtype) for name, value in shared.items()} for dtype in dtypes}
        for gradient, variable in zip(gradients, variables, strict=True):
            index = self._index_dict[self._var_key(variable)]
            momentum, velocity = self._momentums[index], self._velocities[index]
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=momentum.handle, v=velocity.handle, grad=gradient, **cast[variable.dtype]
            )
        return self.iterations.assign_add(1)

    def _decay(self, variables: list[tf.Variable], rate: tf.Tensor) -> None:
        """Takes from the variables the weight decay that is due."""
        if not self._decay_rate:
            return
        owed = self._owed - tf.math.log1p(-tf.cast(rate, tf.float64) * self._decay_rate)
        share = tf.cast(-tf.math.expm1(-owed), tf.float32)

        def settle() -> tf.Tensor:
            for variable in variables:  # into a buffer that takes the old one's place: assign_sub would copy it first
                variable.assign(variable - tf.cast(share, variable.dtype) * variable)
            return tf.zeros_like(owed)

        self._owed.assign(tf.cond(share < PUT_OFF, lambda: owed, settle))

    def _without_spike(
        self, sparse: Sequence[tf.Tensor | tf.IndexedSlices], variables: Sequence[tf.Variable], scale: tf.Tensor | float
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The gradients, dense, and what they are still to be scaled by, <float64>[].

        A scale far below the former ones would give 1 - b' so few of float32's digits that such gradients are scaled here.
        """
        gradients = [tf.convert_to_tensor(gradient) for gradient in sparse]
        if isinstance(scale, float):  # nothing is clipped
            return gradients, tf.constant(scale, tf.float64)
        scale, usual = tf.cast(scale, tf.float64), tf.sqrt(self._units[1])
        far = scale < usual / 4.0
        factor = tf.where(far, scale / usual, 1.0)

        def scaled(gradient: tf.Tensor) -> tf.Tensor:
            return gradient * tf.cast(factor, gradient.dtype)

        # vectors always: each tensor that goes through the condition takes milliseconds to trace
        is_large = [len(variable.shape) > 1 for variable in variables]
        large = list(itertools.compress(gradients, is_large))
        chosen = iter(tf.cond(far, lambda: [scaled(gradient) for gradient in large], lambda: large))
        gradients = [next(chosen) if is_ else scaled(one) for one, is_ in zip(gradients, is_large, strict=True)]
        return gradients, tf.where(far, usual, scale)

    def _change_units(self, scale: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Betas and units of an update by gradients times ``scale`` <float64>[]; <float64>[] each, for m and for v."""
        betas = tf.constant([self.beta_1, self.beta_2], tf.float64)
        kept = betas * self._units
        units = kept + (1.0 - betas) * tf.stack([scale, tf.square(scale)])
        self._units.assign(units)
        return tf.unstack(kept / units), tf.unstack(units)

    def get_config(self) -> dict[str, Any]:
        """Settings as Keras wants them; the schedule is not part of it."""
        return super().get_config() | {
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "weight_decay": self._decay_rate,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


def build(config: OptimizerConfig, learning_rate: float, schedule: Schedule) -> AdamW:
    """Makes it from betas, epsilon and weight decay."""
    return AdamW(learning_rate, schedule, config.weight_decay, config.beta_1, config.beta_2, config.epsilon)
