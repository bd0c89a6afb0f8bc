"""A batch in lanes gives what the whole batch gives: outputs, dropout, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from toy import predict_all

from bertexp.config.resolve import compose_config
from bertexp.config.schema import TrainerConfig
from bertexp.errors import ConfigError
from bertexp.models.bert.dropout import draw_mask, threshold
from bertexp.models.encoder import make_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.text_model import TextClassifier
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.system import devices
from bertexp.training.lanes import call_in_lanes
from bertexp.training.trainer import Trainer

ARCHITECTURE = BertArchitecture(60, 32, 3, 4, 64, max_positions=24)
SEED = tf.constant([5, 6, 0], tf.int32)


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
            logits = call_in_lanes(
                lambda part, seed: model(part, training=training, dropout_seed=seed), features, lanes, SEED
            )
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
    whole, divided = (
        call_in_lanes(lambda part, _: encoder.run_frozen(part), features, lanes).numpy() for lanes in (1, 2)
    )
    assert whole.shape == (5, 9, 32)
    np.testing.assert_allclose(divided, whole, rtol=1e-5, atol=1e-6)


def test_a_fit_in_lanes_makes_the_weights_of_one_without(tmp_path):
    small = ["dataset.limit_train=33", "dataset.limit_val=9", "dataset.limit_test=8", "trainer.batch_size=8", "model.num_layers=2",
             "model.hidden_size=64", "trainer.max_epochs=2", f"run.outputs_dir={tmp_path}"]  # fmt: skip
    fits = []
    for lanes in (1, 2):
        config, _ = compose_config([*small, f"trainer.lanes={lanes}"])
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


@pytest.mark.parametrize("lanes", [2, 3])
def test_windows_of_a_text_may_lie_in_several_lanes(lanes):
    model = TextClassifier(make_encoder(ARCHITECTURE, seed=1), 3, "cls", 0.1, seed=2)
    features = make_features(7) | {"text_of_window": tf.constant([0, 0, 0, 0, 1, 2, 2])}

    def call(part, seed):
        return model(part, training=True, dropout_seed=seed)

    whole = model(features, training=True, dropout_seed=SEED[:2])
    assert whole.shape == (3, 3)
    np.testing.assert_allclose(call_in_lanes(call, features, lanes, SEED), whole, atol=1e-5)


@pytest.mark.parametrize("width", [8, 7, 64 * 5 + 3])
def test_rows_of_a_batch_have_the_masks_that_they_have_in_the_whole(width):
    whole = draw_mask(11, width, 0.3, tf.constant([3, 4])).numpy()
    for begin, end in ((0, 11), (0, 5), (5, 11), (4, 4), (10, 11)):
        part = draw_mask(end - begin, width, 0.3, tf.constant([3, 4, begin])).numpy()
        np.testing.assert_array_equal(part, whole[begin:end])
    assert 0.6 < whole.mean() < 0.8
    bits = tf.bitcast(tf.random.stateless_uniform([(whole.size + 3) // 4], [3, 4], None, None, tf.int64), tf.int16)
    expected = tf.reshape(bits, [-1])[: whole.size] >= threshold(0.3) - 32768  # as runs of all versions have drawn them
    np.testing.assert_array_equal(whole.reshape(-1), expected)


@pytest.mark.parametrize(
    ("asked", "cores", "jit_compile", "threads", "lanes"),
    [
        ("auto", 2, False, 1, 2),
        ("auto", 2, True, 2, 1),
        ("auto", 8, False, 8, 1),
        ("auto", 1, False, 1, 1),
        ("1", 2, False, 2, 1),
        ("4", 8, False, 1, 4),
        ("2", 2, True, 1, 2),
    ],
)
def test_lanes_are_taken_as_asked_or_where_they_were_measured(monkeypatch, asked, cores, jit_compile, threads, lanes):
    """And nothing that TensorFlow reads from the environment decides it."""
    set_to = []
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setattr(devices, "available_cores", lambda: cores)
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", set_to.append)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: set_to[-1])
    trainer = TrainerConfig(lanes=asked, jit_compile=jit_compile)
    assert ("lanes" in devices.configure(trainer, 1)) == (lanes > 1)
    assert (set_to, devices.count_lanes(trainer)) == ([threads], lanes)


def test_a_tensorflow_that_has_begun_with_other_threads_has_no_lanes_of_itself(monkeypatch):
    def refuse(threads):
        raise RuntimeError("Intra op parallelism cannot be modified after initialization.")

    monkeypatch.setattr(devices, "available_cores", lambda: 2)
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", refuse)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    assert devices.configure(TrainerConfig(), 1).startswith("CPU, 2 cores; TensorFlow had begun with other threads")
    assert devices.count_lanes(TrainerConfig()) == 1


def test_what_is_no_number_of_lanes_is_named():
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(ConfigError, match=r"trainer\.lanes=.* must be auto or a whole number"):
            TrainerConfig(lanes=wrong)
