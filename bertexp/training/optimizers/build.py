"""From the config to an optimizer, and the rate that one works at."""

from __future__ import annotations

import importlib

import tf_keras

from bertexp.config.schema import OptimizerConfig
from bertexp.training.schedule import Schedule


def build_optimizer(config: OptimizerConfig, learning_rate: float, total_steps: int) -> tf_keras.optimizers.Optimizer:
    """Makes the configured optimizer for a run of ``total_steps`` optimizer steps."""
    warmup = config.count_warmup(total_steps)
    schedule = Schedule(config.schedule, total_steps, warmup, config.warmup_form)
    return importlib.import_module(f"bertexp.training.optimizers.{config.name}").build(config, learning_rate, schedule)


def learning_rate_of(optimizer: tf_keras.optimizers.Optimizer) -> float:
    """The rate of an optimizer's next update."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # inside a LossScaleOptimizer
    scheduled = getattr(optimizer, "current_learning_rate", None)
    return float(scheduled() if scheduled else optimizer.learning_rate)
