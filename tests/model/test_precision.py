"""Each precision with each way that a fit can go: accumulated, resumed, warm, from TF-Hub's weights."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import published
import pytest
import tensorflow as tf
import tf_keras
from test_trainer import StopAt, _Ordered, assert_bitwise_equal, weights_of
from toy import ToyData, predict_all

from bertexp.config.resolve import compose_config
from bertexp.config.schema import ModelConfig, TrainerConfig
from bertexp.errors import RunInterrupted
from bertexp.models.encoder import make_encoder
from bertexp.models.pretrained import load_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.locate import locate_model
from bertexp.models.text_model import TextClassifier
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.sweeps.work.warm import WarmParts
from bertexp.system.signals import StopSignal
from bertexp.tasks.classification.task import Classification
from bertexp.training.checkpoint import CheckpointStore
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer

SMALL = BertArchitecture(
    vocab_size=16,
    hidden_size=32,
    num_layers=2,
    num_heads=2,
    intermediate_size=64,
    max_positions=16,
    hidden_dropout=0.0,
    attention_dropout=0.0,
)
pytestmark = pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)


@pytest.fixture(autouse=True)
def policy(request, hub):  # the published SavedModel is made in float32
    tf_keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf_keras.mixed_precision.set_global_policy("float32")


def make_module(encoder: tf_keras.layers.Layer | None = None, learning_rate: float = 2e-3) -> FineTuningModule:
    model = TextClassifier(encoder or make_encoder(SMALL, 0, only_cls=True), 1, "pooler", 0.0, 0)
    return FineTuningModule(model, Classification(("no", "yes")), lambda steps: AdamW(learning_rate))


def assert_every_update_counted(trainer: Trainer, policy: str) -> None:
    """A loss scale that has found an overflow has dropped an update, and begins to count anew."""
    assert isinstance(trainer.optimizer, tf_keras.mixed_precision.LossScaleOptimizer) == (policy == "mixed_float16")
    if policy == "mixed_float16":
        assert int(trainer.optimizer.dynamic_counter) == trainer.state.step


def test_a_run_learns_with_float32_weights_and_logits(policy, tmp_path):
    module, trainer = make_module(), Trainer(TrainerConfig(max_epochs=6), tmp_path)
    state = trainer.fit(module, ToyData())
    assert state.best_score > 0.9
    assert {v.dtype for v in module.model.trainable_variables} == {tf.float32}
    logits = predict_all(trainer, module, ToyData())
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert_every_update_counted(trainer, policy)


def test_accumulated_batches_make_the_updates_of_one_large_batch_and_each_counts(policy):
    large, small = make_module(), make_module()
    Trainer(TrainerConfig(max_epochs=4)).fit(large, _Ordered(batch_size=32))
    trainer = Trainer(TrainerConfig(max_epochs=4, accumulate_grad_batches=2))
    assert trainer.fit(small, _Ordered(batch_size=16)).step == 8
    assert_every_update_counted(trainer, policy)
    tolerance = 1e-5 if policy == "float32" else 4e-3
    for a, b in zip(weights_of(large), weights_of(small), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_interrupted_run_goes_on_to_bitwise_equal_weights(policy, tmp_path, accumulate):
    config = TrainerConfig(max_epochs=2, accumulate_grad_batches=accumulate)
    whole, resumed = make_module(), make_module()
    Trainer(config, tmp_path / "whole").fit(whole, ToyData())
    with pytest.raises(RunInterrupted), StopSignal() as stop:
        Trainer(config, tmp_path / "parts", [StopAt(3, signal.SIGTERM)], stop=stop).fit(make_module(), ToyData())
    trainer = Trainer(config, tmp_path / "parts")
    trainer.fit(resumed, ToyData(), resume_from=CheckpointStore(tmp_path / "parts", 2).latest())
    assert_bitwise_equal(whole, resumed)
    assert_every_update_counted(trainer, policy)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_warm_trials_equal_runs_of_their_own_bit_for_bit(policy, tmp_path, accumulate):
    words = ["dataset.limit_train=48", "dataset.limit_val=16", "dataset.limit_test=16", "trainer.batch_size=8", "model.num_layers=1",
             "model.hidden_size=64", "trainer.deterministic=true", f"run.outputs_dir={tmp_path}", "trainer.max_epochs=1",
             f"trainer.precision={policy}", f"trainer.accumulate_grad_batches={accumulate}"]  # fmt: skip
    warm = WarmParts()
    weights = []
    for build, rate in ((warm.build, 1e-2), (warm.build, 1e-3), (build_parts, 1e-3)):
        config, _ = compose_config([*words, f"optimizer.learning_rate={rate}"])
        plan = make_plan(config)
        parts = build(config, plan, plan.dataset.load())
        Trainer(config.trainer, seed=config.run.seed).fit(parts.module, parts.data)
        weights.append(weights_of(parts.module))
    for one, other in zip(*weights[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_optimizer_that_serves_two_fits_is_wrapped_once(policy):
    module, optimizer = make_module(), AdamW(2e-3)
    module.make_optimizer = lambda steps: optimizer
    for _ in range(2):
        Trainer(TrainerConfig(max_epochs=1)).fit(module, ToyData())
    assert int(optimizer.iterations) == 16


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(11))]
    published.write_tfhub(folder, make_encoder(SMALL, 1), SMALL, vocab)
    return folder


def test_tf_hubs_weights_learn_in_the_native_encoder(hub, policy, tmp_path):
    config = ModelConfig(source="tfhub", path=str(hub / "encoder"), pooling="pooler", encoder_dropout=0.0,
                         tfhub_preprocess=str(hub / "preprocess"))  # fmt: skip
    located = locate_model(config, str(tmp_path / "cache"))
    located.fetch()
    loaded = load_encoder(located, config)
    assert loaded.encoder.fallback is None  # it is computed natively
    trainer = Trainer(TrainerConfig(max_epochs=6, accumulate_grad_batches=2), tmp_path)
    assert trainer.fit(make_module(loaded.encoder, 4e-3), ToyData()).best_score > 0.9
    assert_every_update_counted(trainer, policy)
