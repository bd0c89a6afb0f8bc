"""How long a run is; known without TensorFlow, so that a plan can say it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bertexp.config.schema import TrainerConfig


@dataclass(frozen=True)
class RunLength:
    """Counts of a whole run; a step is one optimizer update."""

    batches_per_epoch: int
    steps_per_epoch: int
    max_epochs: int
    total_steps: int


def make_run_length(config: TrainerConfig, train_batches: int) -> RunLength:
    """The length of a run over ``train_batches`` batches an epoch.

    ``max_steps`` without ``max_epochs`` decides alone; with both, whichever ends first.
    """
    batches = min(
        train_batches, config.limit_train_batches or train_batches, 1 if config.fast_dev_run else train_batches
    )
    steps = math.ceil(batches / config.accumulate_grad_batches)
    if config.fast_dev_run:
        return RunLength(batches, steps, 1, steps)
    total = math.inf if config.max_epochs is None and config.max_steps else steps * (config.max_epochs or 1)
    total = int(min(total, config.max_steps or total))
    return RunLength(batches, steps, math.ceil(total / max(steps, 1)), total)


def count_warmup_steps(total_steps: int, warmup_fraction: float, warmup_steps: int | None) -> int:
    """Steps of warm-up: ``warmup_steps`` where given, else the fraction of ``total_steps``, rounded down."""
    return min(warmup_steps, total_steps) if warmup_steps is not None else int(total_steps * warmup_fraction)
