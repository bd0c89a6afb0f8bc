"""Running a module over a split."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bertexp.errors import DataError, TrainingDiverged
from bertexp.interfaces import Metrics
from bertexp.training.batches import EvalBatches, Loaders
from bertexp.training.module import FineTuningModule


class Batch(NamedTuple):
    """What a module gives for a batch of examples."""

    rows: np.ndarray  # <int64>[batch], the split's row that each example comes from
    truth: np.ndarray  # [batch, …], what the task judges them by
    logits: np.ndarray  # <float32>[batch, units] or [batch, seq, units]


def evaluate(
    module: FineTuningModule,
    loader: EvalBatches,
    before_batch: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Runs ``module`` over all batches, in the loader's order.

    One batch is on the device while the caller has the one before, and no more is kept.

    Raises:
        TrainingDiverged: the model's output is no number.
    """
    predict, indices = module.compiled_predict_step(loader.spec), loader.indices()

    def run() -> Iterator[tf.Tensor]:
        for features, _ in loader.batches():
            before_batch()
            yield predict(features)

    begin = 0
    for logits, _ in itertools.pairwise(
        itertools.chain(run(), [None])
    ):  # the next batch is begun before this one is read
        own = indices[begin : begin + len(logits)]
        begin += len(own)
        values = np.asarray(logits)
        if np.isnan(values).any():
            raise TrainingDiverged(
                "the model's output is no number any more (NaN), so that no metric would mean anything; lower "
                "optimizer.learning_rate or set trainer.gradient_clip_norm=1.0"
            )
        yield Batch(loader.source_rows(own), loader.truth(own), values)


class TestResult(NamedTuple):
    """Metrics as ``<split>/<name>``, and the counts and sums that they come from."""

    split: str
    metrics: dict[str, float]
    measured: Metrics  # the task's own, which have seen the split
    rows: int  # that were seen


def measure(
    module: FineTuningModule,
    loader: EvalBatches,
    split: str,
    before_batch: Callable[[], None] = lambda: None,
    after_batch: Callable[[Batch], None] = lambda batch: None,
) -> TestResult:
    """The quality of ``module`` on a labelled split; arguments as of ``evaluate``."""
    measured = module.task.make_metrics()
    for batch in evaluate(module, loader, before_batch):
        measured.update(batch.truth, batch.logits)
        after_batch(batch)
    metrics = {f"{split}/{name}": value for name, value in measured.result().items()}
    return TestResult(split, metrics, measured, len(np.unique(loader.source_rows(loader.indices()))))


def find_split(data: Loaders, split: str, limit_batches: int | None, labelled: bool = True) -> EvalBatches:
    """The batches of a split, or at most so many of rows that are drawn.

    Raises:
        DataError: it has no rows, or they have no labels and ``labelled`` ones are asked for.
    """
    loader = data.eval_loader(split, limit_batches=limit_batches)
    if not len(loader):
        raise DataError(
            f"the data set has no rows in the split {split!r}; name a split that it has, or set dataset.val_fraction or "
            "dataset.test_fraction above 0 so that some are held out"
        )
    if labelled and not loader.labelled:
        raise DataError(
            f"the rows of the split {split!r} have no labels to judge a model by; name a split that has, or call "
            "trainer.predict, which needs none"
        )
    return loader
