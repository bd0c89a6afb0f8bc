"""Reads on from checkpoints whose AdamW kept its moments in units and owed some weight decay, as the first ones did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from bertexp.training.optimizers.adamw import AdamW

_UNITS, _OWED = (f"optimizer/_{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in ("units", "owed"))


def convert_former(optimizer: tf_keras.optimizers.Optimizer, variables: Sequence[tf.Variable], path: Path) -> None:
    """Brings what was restored from the checkpoint at ``path`` to today's form; does nothing to one that has it already.

    Such a checkpoint holds m / units[0] and v / units[1] for the moments m and v, and weights before their last decay by the
    factor exp(-owed).

    Args:
        optimizer: with the moments restored.
        variables: what it works on, restored too.
        path: a ``step-<n>`` folder.
    """
    reader = tf.train.load_checkpoint(str(path / "checkpoint"))
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # inside a LossScaleOptimizer
    if not isinstance(optimizer, AdamW) or not reader.has_tensor(_UNITS):
        return
    momentum_unit, velocity_unit = reader.get_tensor(_UNITS)
    decayed = [variable for variable in variables if optimizer.decays(variable)]
    left = np.exp(-reader.get_tensor(_OWED))
    scaled = ((optimizer.momentums, momentum_unit), (optimizer.velocities, velocity_unit), (decayed, left))
    for variables, factor in scaled:
        for variable in variables:
            variable.assign(tf.cast(tf.cast(variable, tf.float64) * factor, variable.dtype))
