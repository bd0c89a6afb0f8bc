"""Frozen layers run once: what they give is kept on disk and read by every epoch, and by later runs too."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from bertexp.config.schema import Config
from bertexp.data.examples import TOKEN_SPEC
from bertexp.data.examples.activations import ActivationFolder
from bertexp.data.examples.module import DataModule
from bertexp.runs.stages.parts import Parts
from bertexp.system.console import Progress, labelled, say
from bertexp.training.lanes import call_in_lanes

_GB = 1e9


def keep_activations(config: Config, parts: Parts) -> DataModule:
    """The data to fit ``parts.module`` on: of frozen layers their outputs, where these fit on disk and are read again.

    Frozen layers are fixed functions of the tokens (they run without dropout), so a fit on their outputs makes the
    updates that a fit on the tokens makes, up to the rounding of matrix products of other shapes.
    """
    kind, trainer = parts.module.model.frozen_output, config.trainer
    by_row = config.dataset.long_text != "windows"  # of these a row has any number
    if kind is None or not (by_row and trainer.activation_cache_gb) or trainer.fast_dev_run or trainer.overfit_batches:
        return parts.data
    batches = len(parts.data.train_loader())
    if trainer.run_length(batches).max_epochs < 2 or (trainer.limit_train_batches or batches) < batches:
        return parts.data  # little or nothing would be read twice
    offsets = {
        split: np.concatenate([[0], np.cumsum(parts.data.examples(split).lengths, dtype=np.int64)])
        for split in ("train", "val")
        if split in parts.dataset.splits and parts.dataset.splits[split].num_rows
    }
    token = dict.fromkeys(TOKEN_SPEC, tf.ones([1, 1], tf.int32))
    hidden = int(parts.module.model.run_frozen(token).shape[-1])
    pooled = kind == "pooled"
    shapes = {split: (len(ends) - 1 if pooled else int(ends[-1]), hidden) for split, ends in offsets.items()}
    needed = sum(4 * positions * hidden for positions, _ in shapes.values())
    folder = Path(config.run.cache_dir) / "activations"
    free = shutil.disk_usage(next(parent for parent in folder.parents if parent.exists())).free
    limit = min(trainer.activation_cache_gb * _GB, free)
    if needed > limit:
        why = "the disk has" if free < trainer.activation_cache_gb * _GB else "trainer.activation_cache_gb allows"
        taken = f"their activations take {needed / _GB:.1f} GB, {why} {limit / _GB:.1f}"
        say(labelled("frozen", f"layers run in every epoch: {taken}"))
        return parts.data
    cache, weights = ActivationFolder(folder, int(trainer.activation_cache_gb * _GB)), _fingerprint(parts)
    kept = {}
    for split, shape in shapes.items():
        name, ends = f"{split}-{weights}", None if pooled else offsets[split]
        kept[split] = cache.find(name, ends, shape) or cache.write(name, ends, shape, _run(parts, split))
    say(labelled("frozen", f"layers ran once: {needed / _GB:.2g} GB of activations in {folder}"))
    return parts.data.with_activations(kept)


def _fingerprint(parts: Parts) -> str:
    """Of everything that decides the activations but the split: frozen weights, precision, pooling, data, tokens."""
    digest = hashlib.blake2b(digest_size=10)
    model, data = parts.module.model, parts.data
    shape = (data.config.max_length, data.config.long_text, data.config.window_overlap)
    words = (parts.dataset.fingerprint, data.tokenizer.fingerprint, shape, model.pooling)
    digest.update(repr((*words, model.encoder.compute_dtype, model.frozen_output)).encode())
    learning = {id(variable) for variable in model.trainable_variables}
    for variable in model.encoder.variables:
        if id(variable) not in learning:
            digest.update(variable.name.encode())
            digest.update(np.ascontiguousarray(variable.numpy()).data)
    return digest.hexdigest()


def _run(parts: Parts, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers and what the frozen layers make of them, batch by batch."""
    loader = parts.data.eval_loader(split)
    model, lanes = parts.module.model, parts.module.lanes

    def run_frozen(features):
        return call_in_lanes(lambda part, _: model.run_frozen(part), features, lanes)

    run = tf.function(run_frozen, input_signature=[dict(loader.spec)], autograph=False)
    rows, done = loader.indices(), 0
    with Progress("frozen", len(rows), f"rows of {split}") as bar:
        for features, labels in loader.batches():
            count = labels.shape[0]
            yield rows[done : done + count], run(features).numpy()
            done += count
            bar.advance(count)
