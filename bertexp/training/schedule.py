"""Learning-rate schedules as a factor of the peak rate, per optimizer step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Schedule = Callable[[Any], tf.Tensor]  # optimizer steps done so far -> <float32>[] factor in [0, 1]


def make_schedule(kind: str, total_steps: int, warmup_steps: int, warmup_form: str) -> Schedule:
    """Linear warm-up, then a linear decay to zero or a constant rate (Devlin et al. 2019, appendix A.2).

    Args:
        kind: ``linear`` or ``constant``.
        total_steps: optimizer steps of the whole run.
        warmup_steps: steps over which the factor rises from 0.
        warmup_form: ``bert`` lets the decay run from step 0, as the original code and Model Garden's ``WarmUp`` do, so
            the factor falls by ``warmup_steps / total_steps`` where warm-up ends; ``continuous`` decays from 1 after it.
    """
    total, warmup = float(max(total_steps, 1)), float(warmup_steps)

    def factor(step: Any) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        if kind == "constant":
            after = tf.ones_like(step)
        elif warmup_form == "bert":
            after = 1.0 - tf.minimum(step, total) / total
        else:
            after = (total - tf.minimum(step, total)) / max(total - warmup, 1.0)
        return tf.where(step < warmup, step / max(warmup, 1.0), after)

    return factor
