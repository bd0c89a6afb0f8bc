"""A batch in lanes gives what the whole batch gives: outputs, dropout, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from toy import predict_all

from bertexp.config.resolve import compose_config
from bertexp.models.encoder import make_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.text_model import TextClassifier
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.system import devices
from bertexp.training.trainer import Trainer

ARCHITECTURE = BertArchitecture(60, 32, 3, 4, 64, max_positions=24)
SEED = tf.constant([5, 6], tf.int32)


def make_features(rows: int) -> dict[str, tf.Tensor]:
    generator = np.random.default_rng(rows)
    mask = (np.arange(9) < generator.integers(2, 10, (rows, 1))).astype(np.int32)
    ids, types = generator.integers(1, 60, (rows, 9)) * mask, (np.arange(9) >= 4) * mask
    values = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
    return {name: tf.constant(value, tf.int32) for name, value in values.items()}


def run(model: TextClassifier, rows: int, training: bool, lanes: int) -> list[np.ndarray]:
    """Logits, then the gradients of a function of them."""

    @tf.function(autograph=False)
    def step(features):
        with tf.GradientTape() as tape:
            logits = model(features, training=training, dropout_seed=SEED, lanes=lanes)
            loss = tf.reduce_sum(tf.sin(3.0 * logits))
        gradients = tape.gradient(loss, model.trainable_variables, unconnected_gradients="zero")
        return [logits, *(tf.convert_to_tensor(gradient) for gradient in gradients)]

    return [value.numpy() for value in step(make_features(rows))]


@pytest.mark.parametrize("pooling", ["cls", "mean", "none"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("rows", "lanes"), [(7, 2), (1, 2), (8, 3)])
def test_lanes_give_the_whole_batchs_logits_and_gradients(pooling, training, rows, lanes):
    model = TextClassifier(make_encoder(ARCHITECTURE, seed=1), 3, pooling, 0.1, seed=2)
    whole, divided = run(model, rows, training, 1), run(model, rows, training, lanes)
    for expected, found in zip(whole, divided, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 + 1e-6 * np.abs(expected).max())
    dropped = run(model, rows, not training, 1)[0]
    assert np.abs(whole[0] - dropped).max() > 1e-3  # training was with dropout, and each lane had its own part of it


def test_lanes_of_frozen_layers_give_the_whole_batchs_states():
    encoder = make_encoder(ARCHITECTURE, seed=1)
    for layer in [*encoder.layers.embeddings, *encoder.layers.transformer[:2]]:
        layer.trainable = False
    features = make_features(5)
    whole, divided = (encoder.run_frozen(features, lanes=lanes).numpy() for lanes in (1, 2))
    assert whole.shape == (5, 9, 32)
    np.testing.assert_allclose(divided, whole, rtol=1e-5, atol=1e-6)


def test_a_fit_in_lanes_makes_the_weights_of_one_without(tmp_path, monkeypatch):
    small = ["dataset.limit_train=33", "dataset.limit_val=9", "dataset.limit_test=8", "trainer.batch_size=8", "model.num_layers=2",
             "model.hidden_size=64", "trainer.max_epochs=2", f"run.outputs_dir={tmp_path}"]  # fmt: skip
    fits = []
    for lanes in (1, 2):
        monkeypatch.setattr(devices, "count_lanes", lambda lanes=lanes: lanes)
        config, _ = compose_config(small)
        plan = make_plan(config)
        parts = build_parts(config, plan, plan.dataset.load())
        assert parts.module.lanes == lanes
        trainer = Trainer(config.trainer, seed=1)
        trainer.fit(parts.module, parts.data)  # the last batch of an epoch has one row: one lane has none
        fits.append((parts.module.model, predict_all(trainer, parts.module, parts.data)))
    (whole, whole_logits), (divided, logits) = fits
    for a, b in zip(whole.variables, divided.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, err_msg=a.name)
    np.testing.assert_allclose(logits, whole_logits, atol=1e-5)


@pytest.mark.parametrize(
    ("cores", "threads", "lanes"), [(2, "1", 2), (8, "1", 2), (8, "4", 1), (8, None, 1), (1, "1", 1), (1, None, 1)]
)
def test_lanes_are_taken_where_an_operation_has_one_thread_of_several_cores(monkeypatch, cores, threads, lanes):
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    if threads is None:
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    else:
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads)
    assert devices.count_lanes() == lanes
