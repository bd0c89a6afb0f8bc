"""Running a module over a split, and what the trainer expects of the batches it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from bertexp.training.features import FeatureSpec
from bertexp.training.module import FineTuningModule


class TrainBatches(Protocol):
    """Training batches; the order of an epoch must be a function of its number."""

    @property
    def spec(self) -> FeatureSpec: ...

    def __len__(self) -> int: ...
    def vocabulary(self) -> np.ndarray | None: ...
    def epoch(self, epoch: int, start: int = 0, stop: int | None = None) -> tf.data.Dataset: ...


class EvalBatches(Protocol):
    """Every row of a split once, in any order; ``rows`` tells which."""

    @property
    def spec(self) -> FeatureSpec: ...

    def __len__(self) -> int: ...
    def batches(self, limit: int | None = None) -> tf.data.Dataset: ...
    def rows(self, limit: int | None = None) -> np.ndarray: ...
    def labels(self, limit: int | None = None) -> np.ndarray: ...


class Loaders(Protocol):
    """What the trainer draws batches from; ``bertexp.data.DataModule`` is one."""

    def train_loader(self, limit_rows: int | None = None) -> TrainBatches: ...
    def eval_loader(self, split: str, limit_rows: int | None = None) -> EvalBatches: ...


class Outputs(NamedTuple):
    """What a module gives for a split, in ascending row order."""

    rows: np.ndarray  # <int64>[n], row numbers in the split
    labels: np.ndarray  # <int32>[n]
    logits: np.ndarray  # <float32>[n, units]


def evaluate(
    module: FineTuningModule,
    loader: EvalBatches,
    limit: int | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> Outputs:
    """Runs ``module`` over the first ``limit`` batches (all by default)."""
    logits, predict = [], module.compiled_predict_step(loader.spec)
    for features, _ in loader.batches(limit):
        before_batch()
        logits.append(predict(features))
    rows = loader.rows(limit)
    order = np.argsort(rows, kind="stable")
    return Outputs(rows[order], loader.labels(limit), np.concatenate([np.asarray(part) for part in logits])[order])
