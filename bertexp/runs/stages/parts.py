"""From a plan to the objects that are trained: encoder, head, task, batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bertexp.config.schema import Config
from bertexp.data.summary import DatasetSummary, summarize
from bertexp.data.table import TextDataset
from bertexp.interfaces import Task
from bertexp.runs.plan import Plan, check_length
from bertexp.system import devices
from bertexp.system.console import Progress, labelled, say

devices.prepare()

from bertexp.data.examples.module import DataModule  # noqa: E402  TensorFlow may only be imported prepared
from bertexp.data.tokens.tokenizer import Tokenizer  # noqa: E402
from bertexp.models.encoder import count_positions  # noqa: E402
from bertexp.models.pretrained import LoadedEncoder, load_encoder  # noqa: E402
from bertexp.models.text_model import TextClassifier, set_trainable  # noqa: E402
from bertexp.training.module import FineTuningModule  # noqa: E402
from bertexp.training.optimizers.build import build_optimizer  # noqa: E402


@dataclass(frozen=True)
class Parts:
    """What is trained, on what."""

    dataset: TextDataset
    loaded: LoadedEncoder
    task: Task
    module: FineTuningModule
    data: DataModule
    summary: DatasetSummary


def build_parts(config: Config, plan: Plan, dataset: TextDataset) -> Parts:
    """Makes every part of a run in a fixed order, so that one seed decides all of it."""
    pa.default_memory_pool().release_unused()  # what reading the data took beyond the data, as much again and more
    say(labelled("device", devices.configure(config.trainer, config.run.seed)))
    loaded = load_encoder(plan.model, config.model, config.run.seed)
    say(labelled("weights", plan.model.description))
    if loaded.encoder.fallback is not None:
        say(labelled("encoder", loaded.encoder.fallback))
    loaded.encoder.closed_gradients = config.trainer.closed_gradients and devices.is_measured(config.trainer)
    known = loaded.architecture
    longest = known.max_positions if known else count_positions(loaded.encoder, config.dataset.max_length)
    check_length(config, longest)
    dataset = dataset.spelled_by(loaded.vocab, loaded.lowercase, loaded.strip_accents)
    task = config.task.spec.build(config.task, dataset)
    model = TextClassifier(
        loaded.encoder, task.units, config.model.pooling, config.model.dropout, config.run.seed, task.first_bias
    )
    counts = set_trainable(model, config.trainable)
    say(labelled("parameters", f"{counts['trained']:,} trained, {counts['frozen']:,} frozen"))
    learning_rate = config.optimizer.learning_rate
    lanes = devices.count_lanes(config.trainer)
    module = FineTuningModule(model, task, lambda steps: build_optimizer(config.optimizer, learning_rate, steps), lanes)
    data = make_data(config, dataset, loaded)
    _say_limits(config, data)
    summary = summarize(
        dataset,
        {split: data.examples(split).full_lengths for split in dataset.splits},
        config.dataset.max_length,
        data.samples(),
        counts["trained"],
        pretrained=config.model.source != "random",
    )
    return Parts(dataset, loaded, task, module, data, summary)


def _say_limits(config: Config, data: DataModule) -> None:
    """Says how many rows of a split judge the model where a limit draws them."""
    for split, table in data.dataset.splits.items():
        limit = getattr(config.trainer, f"limit_{split.partition('_')[0]}_batches")
        if limit is None or split == "train":
            continue
        loader = data.eval_loader(split, limit_batches=limit)
        judged = len(np.unique(loader.source_rows(loader.indices())))
        says = f"{judged:,} of {table.num_rows:,} rows of {split}, drawn with dataset.split_seed"
        if config.trainer.resume and split == "val":
            says += "; a run that an earlier version began took the longest until now"
        say(labelled("limit", says))


def make_data(config: Config, dataset: TextDataset, loaded: LoadedEncoder) -> DataModule:
    """The batches of ``dataset``, in the encoder's own word pieces."""
    with Progress("tokens", dataset.texts, "words" if dataset.spec.reads_words else "texts") as bar:
        return DataModule(
            dataset,
            Tokenizer(loaded.vocab, loaded.lowercase, loaded.strip_accents),
            config.dataset,
            config.trainer.batch_size,
            config.trainer.eval_batch_size,
            config.run.seed,
            cache_dir=f"{config.run.cache_dir}/tokens",
            progress=bar.advance,
        )
