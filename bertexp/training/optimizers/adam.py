"""Adam: AdamW without weight decay."""

from __future__ import annotations

from dataclasses import replace

from bertexp.config.schema import OptimizerConfig
from bertexp.training.optimizers import adamw
from bertexp.training.schedule import Schedule


def build(config: OptimizerConfig, learning_rate: float, schedule: Schedule) -> adamw.AdamW:
    """Makes it from betas and epsilon."""
    return adamw.build(replace(config, weight_decay=0.0), learning_rate, schedule)
