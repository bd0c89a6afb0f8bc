"""Running a module over a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bertexp.interfaces import Metrics
from bertexp.training.batches import EvalBatches
from bertexp.training.module import FineTuningModule


class Batch(NamedTuple):
    """What a module gives for a batch of examples."""

    rows: np.ndarray  # <int64>[batch], the split's row that each example comes from
    truth: np.ndarray  # [batch, …], what the task judges them by
    logits: np.ndarray  # <float32>[batch, units] or [batch, seq, units]


def evaluate(
    module: FineTuningModule,
    loader: EvalBatches,
    limit: int | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Runs ``module`` over the first ``limit`` batches (all by default), in the loader's order.

    One batch is on the device while the caller has the one before, and no more is kept.
    """
    predict, indices = module.compiled_predict_step(loader.spec), loader.indices(limit)
    on_device: list[tf.Tensor] = []
    begin = 0

    def read() -> Batch:
        nonlocal begin
        logits = np.asarray(on_device.pop(0))
        own = indices[begin : begin + len(logits)]
        begin += len(logits)
        return Batch(loader.source_rows(own), loader.truth(own), logits)

    for features, _ in loader.batches(limit):
        before_batch()
        on_device.append(predict(features))
        if len(on_device) > 1:
            yield read()
    while on_device:
        yield read()


def measure(
    module: FineTuningModule,
    loader: EvalBatches,
    limit: int | None = None,
    before_batch: Callable[[], None] = lambda: None,
    after_batch: Callable[[Batch], None] = lambda batch: None,
) -> Metrics:
    """The quality of ``module`` on a labelled split; arguments as of ``evaluate``."""
    metrics = module.task.make_metrics()
    for batch in evaluate(module, loader, limit, before_batch):
        metrics.update(batch.truth, batch.logits)
        after_batch(batch)
    return metrics
