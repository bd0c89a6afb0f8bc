"""The settings of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, setting
from bertexp.training.optimizers.spec import OPTIMIZERS


@dataclass
class OptimizerConfig(Settings, group="optimizer"):
    """The update rule and its learning-rate schedule."""

    name: str = setting("adamw", "the update rule", choices=OPTIMIZERS)
    learning_rate: float | None = setting(None, "at its peak; null: 3e-5, for random weights 1e-3", above=0, maximum=1)
    schedule: str = setting("linear", "after warm-up: linear to zero, or constant", choices=("linear", "constant"))
    warmup_fraction: float = setting(0.1, "of all steps, in which the learning rate rises", minimum=0, below=1)
    warmup_steps: int | None = setting(None, "in place of warmup_fraction", unit="steps", minimum=0)
    warmup_form: str = setting("bert", "the decay runs from step 0, or after warm-up", choices=("bert", "continuous"))
    weight_decay: float = setting(0.01, "decoupled, not on biases and LayerNorm; of adamw", minimum=0, below=1)
    beta_1: float = setting(0.9, "decay of the mean of gradients", minimum=0, below=1)
    beta_2: float = setting(0.999, "decay of the mean of their squares", minimum=0, below=1)
    epsilon: float = setting(1e-6, "added to the root of that mean", above=0)
