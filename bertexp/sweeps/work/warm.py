"""Parts that trials share: the data, the model's first weights and the compiled steps."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tf_keras

from bertexp.config.schema import Config
from bertexp.data.find.source import DatasetSource
from bertexp.data.table import TextDataset
from bertexp.runs.plan import Plan, make_plan
from bertexp.runs.stages.parts import Parts, build_parts
from bertexp.training.optimizers.build import build_optimizer

_FREE = ("learning_rate", "warmup_fraction", "warmup_steps")  # what an optimizer can change without a new graph

_TRACED = [
    "precision",
    "jit_compile",
    "lanes",
    "closed_gradients",
    "batch_size",
    "eval_batch_size",
    "accelerator",
    "deterministic",
]


class WarmParts:
    """Gives each trial its parts; only what a trial has otherwise than the one before is made anew.

    Trials that differ in learning rate, warm-up or length share the model, set back to its first weights, and the graphs
    that were traced for it; the result is bitwise that of fresh parts.
    """

    def __init__(self) -> None:
        self._data_key, self._key = "", ""
        self._source: DatasetSource
        self._parts: Parts | None = None
        self._first_weights: list[np.ndarray] = []
        self._optimizer: tf_keras.optimizers.Optimizer | None = None

    def plan(self, config: Config) -> Plan:
        """The trial's plan, whose data are read once for all trials in a row that read the same."""
        plan = make_plan(config)
        key = repr((config.dataset, config.task, config.run.rehearsal))
        if key != self._data_key:  # one data set at a time: a large one must not stay for nothing
            unlabelled = plan.dataset.load_unlabelled and functools.cache(plan.dataset.load_unlabelled)
            loaders = {"read": functools.cache(plan.dataset.read), "load_unlabelled": unlabelled}
            self._source, self._data_key = dataclasses.replace(plan.dataset, **loaders), key
        return dataclasses.replace(plan, dataset=self._source)

    def build(self, config: Config, plan: Plan, dataset: TextDataset) -> Parts:
        """The trial's parts, as ``build_parts`` would make them."""
        key = _graph_key(config)
        if self._parts is None or key != self._key:  # seeding TensorFlow anew would throw its compiled graphs away
            self._parts, self._optimizer = None, None  # frees the former model first
            self._parts, self._key = build_parts(config, plan, dataset), key
            self._first_weights = [variable.numpy() for variable in self._parts.module.model.variables]
        else:
            for variable, value in zip(self._parts.module.model.variables, self._first_weights, strict=True):
                variable.assign(value)
        self._parts.module.make_optimizer = functools.partial(self._give_optimizer, config)
        return self._parts

    def _give_optimizer(self, config: Config, total_steps: int) -> tf_keras.optimizers.Optimizer:
        optimizer, rate = config.optimizer, config.optimizer.learning_rate
        # a loss scale has a state of its own, and wraps an optimizer once
        if not hasattr(self._optimizer, "restart") or config.trainer.precision == "mixed_float16":
            self._optimizer = build_optimizer(optimizer, rate, total_steps)
        else:
            self._optimizer.restart(rate, total_steps, optimizer.count_warmup(total_steps))
        return self._optimizer


def _graph_key(config: Config) -> str:
    """Equal for configs whose trials can share a model and its graphs."""
    optimizer = {k: v for k, v in dataclasses.asdict(config.optimizer).items() if k not in _FREE}
    rules = [getattr(config.trainer, name) for name in _TRACED]
    return repr((config.run.seed, config.dataset, config.model, config.task, config.trainable, optimizer, rules))
