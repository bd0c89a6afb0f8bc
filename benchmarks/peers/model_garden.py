"""Fine-tunes with Model Garden's BertClassifier, AdamWeightDecay and `fit`, each batch padded to its longest row.

Usage: python model_garden.py ENCODER TRAIN.parquet TEST.parquet OUT.parquet SEED EPOCHS

ENCODER is a folder with encoder.json (BertEncoderV2's settings), a checkpoint and vocab.txt. Reads tables with the columns text,
text_pair (optional) and label; writes the column `predicted` in the test's row order. 5e-5, 10% warm-up, linear decay,
weight decay 0.01, clip 1.0, batch 32, 128 tokens, dropout 0.1.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_text as tf_text
import tf_keras
from official.nlp import optimization
from official.nlp.modeling import layers, models, networks


def make_batches(table: pa.Table, tokenizer, ids: dict[str, int], order: np.ndarray) -> tf.data.Dataset:
    """Packed batches of 32 rows in the given order."""
    columns = [table[name].to_pylist() for name in ("text", "text_pair") if name in table.column_names]
    tokens = [tokenizer.tokenize([column[row] for row in order]) for column in columns]
    labels = tf.constant(table["label"].to_numpy()[order])

    def pack(*batch):
        texts, batch_labels = batch[:-1], batch[-1]
        packed = layers.BertPackInputs(128, special_tokens_dict=ids)(list(texts))
        width = tf.reduce_max(tf.reduce_sum(packed["input_mask"], axis=1))
        return {name: values[:, :width] for name, values in packed.items()}, batch_labels

    data = tf.data.Dataset.from_tensor_slices((*tokens, labels)).batch(32)
    return data.map(pack).prefetch(2)


def main(encoder: str, train_path: str, test_path: str, out: str, seed: int, epochs: int) -> None:
    folder = Path(encoder)
    tf_keras.utils.set_random_seed(seed)
    train, test = pq.read_table(train_path), pq.read_table(test_path)
    vocab = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = tf_text.FastBertTokenizer(vocab, token_out_type=tf.int32, lower_case_nfd_strip_accents=True)
    ids = {"start_of_sequence_id": vocab.index("[CLS]"), "end_of_segment_id": vocab.index("[SEP]"),
           "padding_id": vocab.index("[PAD]"), "mask_id": vocab.index("[MASK]")}  # fmt: skip
    settings = json.loads((folder / "encoder.json").read_text())
    settings["inner_activation"] = tf_keras.activations.gelu
    network = networks.BertEncoderV2(**settings)
    model = models.BertClassifier(network=network, num_classes=2)
    tf.train.Checkpoint(encoder=network).read(
        str(folder / "checkpoint")
    ).assert_existing_objects_matched().expect_partial()
    steps = -(-train.num_rows // 32)
    optimizer = optimization.create_optimizer(5e-5, steps * epochs, int(0.1 * steps * epochs))
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(train.num_rows)
        model.fit(make_batches(train, tokenizer, ids, order), epochs=1, verbose=0)
    logits = model.predict(make_batches(test, tokenizer, ids, np.arange(test.num_rows)), verbose=0)
    pq.write_table(pa.table({"predicted": logits.argmax(axis=-1)}), out)


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6]))
