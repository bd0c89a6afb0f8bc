"""AdamW and the schedules against Model Garden's and Keras's own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp import optimization

from bertexp.config.schema import OptimizerConfig, TrainerConfig
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.optimizers.build import build_optimizer
from bertexp.training.schedule import Schedule
from bertexp.training.step import TrainStep


def make_variables():
    generator = np.random.default_rng(0)
    shapes = {"dense/kernel": [7, 5], "dense/bias": [5], "x/layer_norm/gamma": [5], "embeddings": [11, 5]}
    return [tf.Variable(generator.normal(size=shape).astype("float32"), name=name) for name, shape in shapes.items()]


def gradients_at(step, variables):
    generator = np.random.default_rng(step)
    return [tf.constant(generator.normal(size=v.shape).astype("float32") * 0.1) for v in variables]


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_two_hundred_updates_equal_the_reference(name):
    ours, theirs = make_variables(), make_variables()
    config = OptimizerConfig(name=name, warmup_fraction=0.1)
    optimizer = build_optimizer(config, 1e-3, total_steps=200)
    optimizer.build(ours)
    reference = optimization.create_optimizer(1e-3, 200, 20)
    if name == "adam":
        reference = tf_keras.optimizers.legacy.Adam(reference.learning_rate, epsilon=1e-6)
    else:
        reference.gradient_clip_norm = 0.0
    for step in range(200):
        optimizer.apply_gradients(zip(gradients_at(step, ours), ours, strict=True))
        reference.apply_gradients(zip(gradients_at(step, theirs), theirs, strict=True))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


NORMS = [1e4, 1.0, 1e-8, 1e8, 3.0, 1e-3, 1e8, 1e8, 0.5, 1e-8, 1e-8, 2.0, 1e4, 0.0, 1.0]


@pytest.mark.parametrize("norms", [NORMS, NORMS[::-1], [1e8, *[1e-8] * 5], [1e-8, *[1e8] * 5]])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_clipped_steps_equal_the_reference_whatever_norms_come_one_after_another(norms, accumulate):
    ours, theirs = make_variables(), make_variables()
    optimizer, reference = build_optimizer(OptimizerConfig(), 1e-2, 100), optimization.create_optimizer(1e-2, 100, 10)
    reference.gradient_clip_norm = 0.0
    batches = SimpleNamespace(spec={"norm": tf.TensorSpec([], tf.float32)}, label_spec=tf.TensorSpec([None], tf.int32))

    def training_step(features, labels, seed):
        """A loss whose gradient has that norm."""
        directions = [tf.constant(np.random.default_rng(5).normal(size=v.shape), tf.float32) for v in ours]
        unit = features["norm"] / tf.linalg.global_norm(directions)
        loss = tf.add_n([tf.reduce_sum(unit * d * v) for d, v in zip(directions, ours, strict=True)])
        return loss[None], tf.zeros([1]), tf.ones([1])

    module = SimpleNamespace(model=SimpleNamespace(trainable_variables=ours), training_step=training_step)
    step = TrainStep(module, optimizer, TrainerConfig(accumulate_grad_batches=accumulate), batches)
    directions = [np.random.default_rng(5).normal(size=v.shape).astype("float32") for v in theirs]
    length = np.sqrt(sum((d.astype(float) ** 2).sum() for d in directions))
    for norm in norms:
        for _ in range(accumulate):
            statistics, _ = step({"norm": tf.constant(norm)}, tf.zeros([1], tf.int32), (0, 0))
        np.testing.assert_allclose(statistics[4], norm, rtol=1e-5)
        scale = min(norm, 1.0) / length
        reference.apply_gradients(
            [(tf.constant(d * scale, tf.float32), v) for d, v in zip(directions, theirs, strict=True)]
        )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(("dtype", "rank"), [(tf.float64, 2), (tf.float32, None)])
def test_weights_of_any_type_and_gradients_of_unknown_rank_are_updated(dtype, rank):
    """Such come out of opaque encoders."""
    variable, plain = (tf.Variable(tf.ones([3, 2], kind), name="a") for kind in (dtype, tf.float32))

    def update(variable, shape):
        optimizer = AdamW(0.1)
        optimizer.build([variable])
        spec = [tf.TensorSpec(shape, variable.dtype)]
        return tf.function(lambda g: optimizer.apply_gradients([(g, variable)]), input_signature=spec)

    for step in (update(variable, [3, 2] if rank else None), update(plain, [3, 2])):
        for size in (0.5, 0.01):
            step(tf.fill([3, 2], tf.cast(size, step.input_signature[0].dtype)))
    np.testing.assert_allclose(variable, plain, rtol=1e-5)
    assert np.abs(plain.numpy() - 1).min() > 0.05


def test_sparse_gradients_give_the_dense_update():
    dense, sparse = tf.Variable(tf.ones([6, 2]), name="a"), tf.Variable(tf.ones([6, 2]), name="a")
    rows = tf.IndexedSlices(
        tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), tf.constant([1, 1, 4]), tf.constant([6, 2])
    )
    for variable, gradient in ((dense, tf.convert_to_tensor(rows)), (sparse, rows)):
        optimizer = AdamW(0.1)
        optimizer.build([variable])
        optimizer.apply_gradients([(gradient, variable)])
    np.testing.assert_array_equal(dense.numpy(), sparse.numpy())


def test_bert_warmup_equals_model_gardens_and_drops_at_the_seam():
    decay = tf_keras.optimizers.schedules.PolynomialDecay(3e-5, 1000, 0.0)
    reference = optimization.WarmUp(3e-5, decay, 100)
    factor = Schedule("linear", 1000, 100, "bert")
    steps = [0, 1, 50, 99, 100, 101, 500, 999, 1000]
    np.testing.assert_allclose(
        [3e-5 * float(factor(s)) for s in steps], [float(reference(s)) for s in steps], rtol=1e-5
    )
    assert float(factor(99)) == pytest.approx(0.99)
    assert float(factor(100)) == pytest.approx(0.9)


def test_continuous_warmup_reaches_the_peak_and_constant_stays_there():
    continuous = Schedule("linear", 1000, 100, "continuous")
    assert [round(float(continuous(s)), 6) for s in (0, 50, 100, 550, 1000)] == [0.0, 0.5, 1.0, 0.5, 0.0]
    constant = Schedule("constant", 1000, 0, "bert")
    assert float(constant(0)) == float(constant(999)) == 1.0
