"""TensorFlow's tutorial "Classify text with BERT" and Model Garden's "Fine-tuning a BERT model", as their pages write them."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401  registers the operations of preprocessing models
import tf_keras
from gradients import make_gradients
from official.nlp import optimization
from official.nlp.configs import encoders
from official.nlp.modeling import models
from official.nlp.tools import export_tfhub_lib
from serve import StepClock, median_seconds, serve


def bert_config(request: dict, vocab_size: int) -> encoders.BertEncoderConfig:
    hidden = request["hidden"]
    return encoders.BertEncoderConfig(
        vocab_size=vocab_size, hidden_size=hidden, num_layers=request["layers"], num_attention_heads=hidden // 64,
        intermediate_size=4 * hidden,
    )  # fmt: skip


def read_vocab(request: dict) -> list[str]:
    return Path(request["vocab"]).read_text(encoding="utf-8").splitlines()


class Clock(tf_keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.clock = StepClock()

    def on_train_batch_end(self, batch, logs=None):
        self.clock.tick()


def make_optimizer(steps: int):
    return optimization.create_optimizer(3e-5, num_train_steps=steps, num_warmup_steps=max(1, steps // 10))


def write_hub(request: dict) -> Path:
    """Encoder and preprocessing as TF-Hub has them, with random weights; written by Model Garden's own tool."""
    place = Path(request["outputs"]) / f"tfhub_l{request['layers']}_h{request['hidden']}"
    if not place.exists():
        config = encoders.EncoderConfig(type="bert", bert=bert_config(request, len(read_vocab(request))))
        drawn = encoders.build_encoder(config)
        drawn(drawn.inputs)
        checkpoint = tf.train.Checkpoint(encoder=drawn, model=drawn).save(f"{place}-checkpoint/weights")
        words = {"vocab_file": request["vocab"], "do_lower_case": True}
        export_tfhub_lib.export_preprocessing(
            str(place / "preprocess"), **words, tokenize_with_offsets=False, default_seq_length=128
        )
        export_tfhub_lib.export_model(
            str(place / "encoder"), encoder_config=config, model_checkpoint_path=checkpoint, with_mlm=False, **words
        )
    return place


def tutorial(request: dict) -> dict:
    """Preprocessing and encoder from TF-Hub in one model that reads text, always 128 tokens, `fit`."""
    place = write_hub(request)
    table = pq.read_table(f"{request['rows']}/train.parquet").slice(0, 32 * request["padded_steps"])
    texts = [table[name].to_pylist() for name in ("text", "text_pair") if name in table.column_names]
    inputs = [tf_keras.layers.Input(shape=(), dtype=tf.string) for _ in texts]
    preprocess = hub.load(str(place / "preprocess"))
    pieces = [hub.KerasLayer(preprocess.tokenize)(text) for text in inputs]
    features = hub.KerasLayer(preprocess.bert_pack_inputs, arguments={"seq_length": 128})(pieces)
    pooled = hub.KerasLayer(str(place / "encoder"), trainable=True)(features)["pooled_output"]
    logits = tf_keras.layers.Dense(1, activation=None)(tf_keras.layers.Dropout(0.1)(pooled))
    model = tf_keras.Model(inputs, logits)
    model.compile(
        make_optimizer(len(table) // 32),
        loss=tf_keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=tf_keras.metrics.BinaryAccuracy(),
    )
    data = tf.data.Dataset.from_tensor_slices((tuple(texts), table["label"].to_pylist()))
    data = data.shuffle(len(table)).batch(32).cache().prefetch(tf.data.AUTOTUNE)
    clock = Clock()
    model.fit(data, epochs=1, verbose=0, callbacks=[clock])
    return {"rows": len(table), "seconds": clock.clock.seconds()}


def model_garden(request: dict) -> dict:
    """BertClassifier, AdamWeightDecay and `fit`, on batches padded to 128 tokens or on bertexp's own."""
    table = pq.read_table(f"{request['rows']}/batches.parquet")
    if request["padding"] == "128":
        table = table.slice(0, request["padded_steps"])
    vocab = read_vocab(request)
    config = encoders.EncoderConfig(type="bert", bert=bert_config(request, len(vocab)))
    model = models.BertClassifier(network=encoders.build_encoder(config), num_classes=2)

    def batches():
        for ids, types, labels in zip(*(table[name].to_pylist() for name in ("ids", "types", "labels")), strict=True):
            width = 128 if request["padding"] == "128" else max(map(len, ids))
            padded = [tf_keras.utils.pad_sequences(rows, width, padding="post") for rows in (ids, types)]
            mask = tf_keras.utils.pad_sequences([[1] * len(row) for row in ids], width, padding="post")
            yield {"input_word_ids": padded[0], "input_mask": mask, "input_type_ids": padded[1]}, labels

    names = ("input_word_ids", "input_mask", "input_type_ids")
    spec = ({name: tf.TensorSpec([None, None], tf.int32) for name in names}, tf.TensorSpec([None], tf.int32))
    data = tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(tf.data.AUTOTUNE)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(make_optimizer(len(table)), loss=loss, metrics=[tf_keras.metrics.SparseCategoricalAccuracy()])
    clock = Clock()
    model.fit(data, epochs=1, verbose=0, callbacks=[clock])
    return {"rows": sum(map(len, table["labels"].to_pylist())), "seconds": clock.clock.seconds()}


def optimizer_step(request: dict) -> dict:
    """Seconds of one update by AdamWeightDecay, its clipping included, from the gradients of a batch."""
    config = encoders.EncoderConfig(type="bert", bert=bert_config(request, len(read_vocab(request))))
    model = models.BertClassifier(network=encoders.build_encoder(config), num_classes=1)
    variables = model.trainable_variables
    optimizer = make_optimizer(10_000)

    @tf.function
    def update(gradients):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    gradients = make_gradients(variables)
    return {"rows": 1, "seconds": median_seconds(lambda: update(gradients))}


WORKS = {"tutorial": tutorial, "train": model_garden, "optimizer": optimizer_step}

if __name__ == "__main__":
    serve(lambda request: WORKS[request["kind"]](request))
