"""Every setting of a run: its name, type, default, meaning, choices, range and unit, in one place.

The dataclasses are OmegaConf structured configs, so an unknown key or a wrong type fails during composition. Choices and
ranges are checked when ``resolve.py`` turns the composed config into these objects. This package imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bertexp.config.schema.data import DatasetConfig, TaskConfig
from bertexp.config.schema.run import ExportConfig, RunConfig, SweepConfig, TrackingConfig
from bertexp.config.schema.training import ModelConfig, OptimizerConfig, TrainableConfig, TrainerConfig


@dataclass
class Config:
    """One run, whole."""

    run: RunConfig = field(default_factory=RunConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainable: TrainableConfig = field(default_factory=TrainableConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
