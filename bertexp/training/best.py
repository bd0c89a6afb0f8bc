"""The weights that a fit ends with: those of its best validation."""

from __future__ import annotations

import math

import tensorflow as tf

from bertexp.config.schema import TrainerConfig
from bertexp.errors import ConfigError, did_you_mean
from bertexp.training.checkpoint import CheckpointStore, LoopState, restore
from bertexp.training.module import FineTuningModule


class BestWeights:
    """Judges validations by one metric, and keeps the weights of the best one.

    Args:
        module: whose weights they are.
        config: names the metric, unless the task's main one is to decide, and how long to wait for a better value.
        store: where they are kept; None: nowhere.

    Attributes:
        monitor: the metric, such as ``val/accuracy``.

    Raises:
        ConfigError: the task does not measure it for so many classes.
    """

    def __init__(self, module: FineTuningModule, config: TrainerConfig, store: CheckpointStore | None):
        task = module.task
        self.monitor = config.monitor or f"val/{task.main_metric}"
        left_out = task.make_metrics().left_out
        if left_out.startswith(f"{self.monitor.removeprefix('val/')} "):
            raise ConfigError(f"trainer.monitor={self.monitor} cannot be had: {left_out}; choose another one")
        self._sign = 1.0 if (config.monitor_mode or task.spec.better(self.monitor)) == "max" else -1.0
        self._patience, self._store, self._restores = config.early_stopping_patience, store, config.restore_best
        self._weights = tf.train.Checkpoint(model=module.model)

    def judge(self, metrics: dict[str, float], state: LoopState) -> bool:
        """Keeps the weights if these ``val/…`` metrics are the best so far; returns whether to wait for better ones.

        Raises:
            ConfigError: the metric that decides is not among them.
        """
        if self.monitor not in metrics:
            raise ConfigError(
                f"trainer.monitor={self.monitor} is not measured; there are {', '.join(sorted(metrics))}"
                f"{did_you_mean(self.monitor, metrics)}"
            )
        score, loss = metrics[self.monitor], metrics.get("val/loss", 0.0)
        known = state.best_score is not None and not math.isnan(state.best_score)
        better = not math.isnan(score) and (not known or self._sign * score > self._sign * state.best_score)
        if better or (score == state.best_score and loss < state.best_loss):
            state.best_score, state.best_loss, state.best_step = score, loss, state.step
            if self._store is not None:
                self._store.save_best(self._weights, state.step, score)
        state.validations_without_improvement = 0 if better else state.validations_without_improvement + 1
        return self._patience is None or state.validations_without_improvement < self._patience

    def restore(self, state: LoopState) -> None:
        """Puts the weights back that were kept, unless ``trainer.restore_best`` leaves the last ones."""
        if self._restores and self._store is not None and state.best_step >= 0:
            restore(self._weights, self._store.best(state.best_step))
