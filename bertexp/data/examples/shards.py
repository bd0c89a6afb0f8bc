"""Writes the shards of an encoding: several at a time, each complete or absent, none twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import tensorflow as tf

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.encoding import Shard
from bertexp.data.examples.module import DataModule
from bertexp.data.table import TextDataset, is_labelled
from bertexp.data.tokens.tokenizer import ROWS_PER_CHUNK, Progress, Tokenizer
from bertexp.system.files import atomic_file
from bertexp.system.machine import results_in_order

Features = dict[str, np.ndarray]  # Model Garden's, each <int32>[rows, values] but float labels


def write_shards(
    shards: Sequence[Shard],
    dataset: TextDataset,
    tokenizer: Tokenizer,
    config: DatasetConfig,
    folder: Path,
    workers: int,
    progress: Progress,
) -> None:
    """Writes rows of ``dataset`` as the named shards, ``workers`` of them at a time.

    The workers are threads: tokenizer, NumPy and files leave Python free for most of the time, and a process of its own
    would import TensorFlow first.
    """
    lock = threading.Lock()

    def advance(rows: int) -> None:
        with lock:
            progress(rows)

    def write(shard: Shard) -> None:
        table = dataset.splits[shard.split].slice(shard.begin, shard.rows)
        chunks = (table.slice(first, ROWS_PER_CHUNK) for first in range(0, shard.rows, ROWS_PER_CHUNK))
        encoded = (_encode(replace(dataset, splits={shard.split: chunk}), tokenizer, config) for chunk in chunks)
        with atomic_file(folder / shard.name, "wb") as file:
            (_write_tfrecord if shard.name.endswith(".tfrecord") else _write_arrow)(file, encoded, advance)

    tokenizer.encode([""])  # builds it before two threads would
    with ThreadPoolExecutor(workers) as pool:
        for _ in results_in_order(pool, (partial(write, shard) for shard in shards), 2 * workers):
            pass


def _encode(dataset: TextDataset, tokenizer: Tokenizer, config: DatasetConfig) -> Features:
    """All rows of the one split of ``dataset``, padded to the maximum length."""
    (split,) = dataset.splits
    examples = DataModule(dataset, tokenizer, config).examples(split)
    packed, labels = examples.pack(np.arange(dataset.splits[split].num_rows))
    margin = config.max_length - packed["input_mask"].shape[1]
    width = [(0, 0), (0, margin)]
    features = {
        "input_ids": np.pad(packed["input_word_ids"], width, constant_values=tokenizer.pad_id),
        "input_mask": np.pad(packed["input_mask"], width),
        "segment_ids": np.pad(packed["input_type_ids"], width),
    }
    if is_labelled(dataset.splits[split]):
        has_numbers = pa.types.is_floating(dataset.splits[split]["label"].type)
        features["label_ids"] = labels.astype(np.float32 if has_numbers else np.int32).reshape(len(labels), -1)
    return features


def _write_tfrecord(file: IO[bytes], chunks: Iterator[Features], progress: Progress) -> None:
    with tf.io.TFRecordWriter(file.name) as writer:
        for features in chunks:
            records = serialize(features)
            for record in records:
                writer.write(record)
            progress(len(records))


def serialize(features: Features) -> list[bytes]:
    """Each row as the bytes of a tf.train.Example, by TensorFlow's operation for messages of any kind."""
    rows = len(next(iter(features.values())))

    def encode(kind: str, **fields: tf.Tensor) -> tf.Tensor:
        """<string>[rows, 1], messages of ``kind`` with fields [rows, values]."""
        sizes = np.tile(np.array([values.shape[1] for values in fields.values()], np.int32), (rows, 1))
        return tf.io.encode_proto(sizes, [*fields.values()], [*fields], f"tensorflow.{kind}")[:, None]

    entries = []
    for name, values in features.items():
        if values.dtype == np.float32:
            feature = encode("Feature", float_list=encode("FloatList", value=tf.constant(values)))
        else:
            feature = encode("Feature", int64_list=encode("Int64List", value=tf.constant(values, tf.int64)))
        entries.append(encode("Features.FeatureEntry", key=tf.fill([rows, 1], name), value=feature))
    examples = encode("Example", features=encode("Features", feature=tf.concat(entries, axis=1)))
    return examples[:, 0].numpy().tolist()


def _write_arrow(file: IO[bytes], chunks: Iterator[Features], progress: Progress) -> None:
    writer = None
    for features in chunks:
        batch = pa.RecordBatch.from_arrays([_as_arrow(values) for values in features.values()], [*features])
        writer = writer or pa.ipc.new_file(file, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        writer.write_batch(batch)
        progress(batch.num_rows)
    writer.close()


def _as_arrow(values: np.ndarray) -> pa.Array:
    """<int32 or float32>[rows] where each row has one value, else lists of fixed size."""
    flat = pa.array(values.reshape(-1))
    return flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
