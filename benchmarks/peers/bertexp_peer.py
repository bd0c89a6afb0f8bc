"""bertexp as a user runs it: a composed config, its parts and its trainer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from serve import StepClock, median_seconds, serve
from without import WAYS

from bertexp.config.resolve import compose_config
from bertexp.runs.plan import make_plan


def build(request: dict, *words: str):
    """Config and parts for a request's rows and encoder."""
    from bertexp.runs.stages.parts import build_parts

    encoder = (
        ["model=minilm_l6", f"model.path={request['weights']}", "model.pooling=pooler"]
        if request.get("weights")
        else [f"model=small_bert_l{request['layers']}", f"model.hidden_size={request['hidden']}", "model.source=random"]
        + ([f"model.vocab_file={request['vocab']}"] if request.get("vocab") else [])
    )
    rows = Path(request["rows"])
    pair = ["dataset.text_pair_column=text_pair"] if request.get("pair") else []
    config, _ = compose_config(
        ["dataset=files", f"dataset.path={rows}", "dataset.val_file=few.parquet", "dataset.test_file=few.parquet",
         "dataset.train_file=train.parquet", *pair, *encoder, "tracking=none", f"run.outputs_dir={request['outputs']}",
         "trainer.validate_every_epochs=99", "trainer.restore_best=false", "optimizer.learning_rate=3e-5", *words]
    )  # fmt: skip
    config.trainable.encoder = request.get(
        "trainable", "full"
    )  # set here: a command line may not freeze random weights
    plan = make_plan(config)
    return config, build_parts(config, plan, plan.dataset.load())


def train(request: dict) -> dict:
    """Seconds of a fit, frozen layers' own pass included."""
    from bertexp.runs.stages.frozen_layers import keep_activations
    from bertexp.training.callbacks import Callback
    from bertexp.training.trainer import Trainer

    way = WAYS[request["without"]][1] if request.get("without") else None
    words = way if isinstance(way, list) else []
    config, parts = build(request, f"trainer.max_epochs={request.get('epochs', 1)}", *words)
    if callable(way):
        way(parts)
    for kept in Path(request["outputs"]).glob("cache/activations/*"):
        kept.unlink()
    begin = time.perf_counter()
    data = keep_activations(config, parts)
    prepared = time.perf_counter() - begin
    clock = StepClock()

    class Clock(Callback):
        def sees_model(self, hook: str) -> bool:
            return False

        def on_train_batch_end(self, trainer) -> None:
            clock.tick()

    Trainer(config.trainer, callbacks=[Clock()], seed=config.run.seed).fit(parts.module, data)
    return {
        "rows": parts.dataset.splits["train"].num_rows * config.trainer.max_epochs,
        "seconds": prepared + clock.seconds(),
    }


def export(request: dict) -> dict:
    """Writes the model that ``predict`` reads."""
    from bertexp.serving.saved_model.export import export_saved_model
    from bertexp.serving.spec import ServingSpec

    _, parts = build(request, "dataset.max_length=512")
    spec = ServingSpec(parts.task, 512, has_pair=False)
    folder = Path(request["outputs"]) / "exported"
    export_saved_model(parts.module.model, parts.loaded.vocab, parts.loaded.lowercase, spec, folder)
    return {"folder": str(folder)}


_loaded: dict[str, object] = {}


def predict(request: dict) -> dict:
    """Seconds to classify texts with the exported model."""
    import pyarrow.parquet as pq

    from bertexp.system import devices

    devices.prepare()
    from bertexp.serving.saved_model.pyfunc import TextModel

    texts = pq.read_table(Path(request["rows"]) / "train.parquet")["text"].to_pylist()
    if not _loaded:
        # Another process exports: a run divides its threads otherwise than `bertexp predict` does.
        command, asked = [sys.executable, "-W", "ignore", __file__], json.dumps(request | {"kind": "export"})
        answer = subprocess.run(command, input=asked, text=True, check=True, stdout=subprocess.PIPE).stdout
        _loaded["model"] = TextModel(json.loads(answer)["folder"])
    begin = time.perf_counter()
    _loaded["model"].run({"text": texts})
    return {"rows": len(texts), "seconds": time.perf_counter() - begin}


def tokenize(request: dict) -> dict:
    """Seconds to turn texts into ids."""
    import pyarrow.parquet as pq

    from bertexp.system import devices

    devices.prepare()
    from bertexp.data.sets.reviews import load_vocab
    from bertexp.data.tokens.tokenizer import Tokenizer

    column = pq.read_table(Path(request["rows"]) / "train.parquet")["text"]
    vocab = Path(request["vocab"]).read_text(encoding="utf-8").splitlines() if request.get("vocab") else load_vocab()
    tokenizer = Tokenizer(tuple(vocab), True)
    tokenizer.encode(column[:64])
    begin = time.perf_counter()
    tokenizer.encode(column)
    return {"rows": len(column), "seconds": time.perf_counter() - begin}


def optimizer_step(request: dict) -> dict:
    """Seconds of one update of a fit, clipping included, from the gradients of a batch: the words in use, as the trainer has it."""
    import tensorflow as tf
    from gradients import make_gradients

    from bertexp.training.optimizers.adamw import AdamW
    from bertexp.training.step import sum_by_index

    config, parts = build(request)
    optimizer = AdamW(3e-5)
    step = parts.module.compiled_training_step(
        optimizer, config.trainer, parts.data.train_loader(), words_in_use=not request.get("whole")
    )
    variables = step.variables

    @tf.function(autograph=False)
    def update(gradients):
        summed = [sum_by_index(gradient) for gradient in gradients]
        clipped, _ = tf.clip_by_global_norm(summed, 1.0)
        optimizer.apply_gradients(zip(clipped, variables, strict=True))

    gradients = make_gradients(variables)
    return {"rows": 1, "seconds": median_seconds(lambda: update(gradients))}


def arithmetic(request: dict) -> dict:
    """Arithmetic per second of a training step at 32 x 128 tokens, over that of its largest matrix product."""
    import numpy as np
    import tensorflow as tf

    config, parts = build(request)
    architecture, module = parts.loaded.architecture, parts.module
    optimizer = module.configure_optimizers(100)
    batch, seq = 32, 128
    ids = np.random.default_rng(0).integers(1, architecture.vocab_size, (batch, seq)).astype(np.int32)
    features = {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": np.zeros_like(ids)}
    features = {name: tf.constant(value) for name, value in features.items()}
    labels, seed = tf.zeros([batch], tf.int32), (1, 1)
    step = module.compiled_training_step(optimizer, config.trainer, parts.data.train_loader())
    seconds = median_seconds(lambda: step(features, labels, seed)[0].numpy(), 9)
    hidden, inner = architecture.hidden_size, architecture.intermediate_size
    rows, kernel = tf.random.normal([batch * seq, hidden]), tf.random.normal([hidden, inner])
    lanes = tf.split(rows, module.lanes)  # as the step makes it, on all cores
    product = tf.function(lambda: [tf.matmul(lane, kernel) for lane in lanes], autograph=False)
    peak = 2 * batch * seq * hidden * inner / median_seconds(product)
    return {"rows": count_operations(architecture, batch, seq) / peak, "seconds": seconds}


def count_operations(architecture, batch: int, seq: int) -> float:
    """Multiplications and additions of the matrix products in a step whose last layer computes [CLS] alone."""
    hidden, inner, tokens = architecture.hidden_size, architecture.intermediate_size, batch * seq
    layer = 2 * tokens * (4 * hidden**2 + 2 * hidden * inner) + 4 * tokens * seq * hidden
    # query and its way through the key's kernel, scores and mixture of the states, value, output, feed-forward
    last = 2 * batch * (4 * hidden**2 + 2 * hidden * inner) + 4 * tokens * hidden * architecture.num_heads
    pooler = 2 * batch * hidden**2
    return 3.0 * ((architecture.num_layers - 1) * layer + last + pooler)  # forward, and two products backward


WORKS = {
    "train": train,
    "export": export,
    "predict": predict,
    "tokenize": tokenize,
    "optimizer": optimizer_step,
    "arithmetic": arithmetic,
}

if __name__ == "__main__":
    serve(lambda request: WORKS[request["kind"]](request))
