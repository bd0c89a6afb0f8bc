"""Training the word embeddings in use alone: the same updates, the same weights everywhere, exact continuation."""

from __future__ import annotations

import itertools
import signal

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from test_trainer import StopAt, assert_bitwise_equal

from bertexp.config.resolve import compose_config
from bertexp.errors import RunInterrupted
from bertexp.interfaces import WORDS
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.system.signals import StopSignal
from bertexp.training.callbacks import Callback
from bertexp.training.checkpoint import CheckpointStore
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer
from bertexp.training.words_in_use import WordsInUse, find_words_in_use

SMALL = ["dataset.limit_train=64", "dataset.limit_val=64", "dataset.limit_test=16", "trainer.batch_size=8",
         "model.num_layers=1", "model.hidden_size=64", "trainer.deterministic=true", "trainer.max_epochs=3",
         "optimizer.weight_decay=0.5", "trainer.restore_best=false"]  # fmt: skip


@pytest.fixture
def prepare(tmp_path):
    def prepared(*words: str):
        config, _ = compose_config([*SMALL, f"run.outputs_dir={tmp_path}", *words])
        plan = make_plan(config)
        return config, build_parts(config, plan, plan.dataset.load())

    return prepared


@pytest.mark.parametrize(
    "words", [[], ["trainer.accumulate_grad_batches=2"], ["trainer.precision=mixed_bfloat16"], ["trainer.lanes=2"]]
)
def test_a_fit_makes_the_weights_of_one_that_trains_the_whole_table(prepare, words):
    fits = []
    for switch in ("true", "false"):
        config, parts = prepare(*words, f"trainer.words_in_use={switch}")
        trainer = Trainer(config.trainer, seed=config.run.seed)
        trainer.fit(parts.module, parts.data)
        fits.append((parts, trainer))
    (narrow, one), (whole, other) = fits
    table = whole.loaded.encoder.named_weights[WORDS]
    assert one.optimizer.momentums[0].shape[0] < 0.5 * table.shape[0]
    assert other.optimizer.momentums[0].shape == table.shape
    tolerance = 1e-3 if "precision" in "".join(words) else 1e-6
    for a, b in zip(narrow.module.model.variables, whole.module.model.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance, err_msg=a.name)
    losses = [[m["val/loss"] for _, m in trainer.state.history if "val/loss" in m] for trainer in (one, other)]
    assert len(losses[0]) == 3
    np.testing.assert_allclose(*losses, atol=tolerance)
    assert_unknown_words_have_vectors_of_their_own(narrow)


def assert_unknown_words_have_vectors_of_their_own(parts):
    """A model that has been fitted reads its whole table, in training too."""
    ids = parts.data.train_loader().vocabulary()
    others = np.setdiff1d(np.arange(len(parts.loaded.vocab)), ids)[:40].astype(np.int32)
    features = {
        "input_word_ids": others[:, None],
        "input_mask": np.ones([40, 1], np.int32),
        "input_type_ids": np.zeros([40, 1], np.int32),
    }
    encoder = parts.loaded.encoder
    outputs = encoder(features, training=True, dropout_seed=tf.constant([1, 2]))["pooled_output"].numpy()
    assert len(np.unique(outputs.round(5), axis=0)) == 40


class Table(Callback):
    """Keeps the word table as it stands after each step, and changes it once, other words too."""

    def __init__(self, sees: bool, at: int = 0):
        self.sees, self.at, self.tables = sees, at, []

    def sees_model(self, hook):
        return self.sees

    def on_train_batch_end(self, trainer):
        table = trainer.module.model.encoder.named_weights[WORDS]
        if trainer.state.step == self.at:
            table.assign(table * 2.0)
        self.tables.append(table.numpy())


@pytest.mark.parametrize("at", [0, 5])
def test_callbacks_see_a_whole_model_at_every_step_and_may_change_it(prepare, at):
    seen = []
    for switch in ("true", "false"):
        config, parts = prepare(f"trainer.words_in_use={switch}", "trainer.max_epochs=1")
        callback = Table(True, at)
        Trainer(config.trainer, callbacks=[callback], seed=1).fit(parts.module, parts.data)
        seen.append([*callback.tables, parts.module.model.encoder.named_weights[WORDS].numpy()])
    assert len(seen[0]) == 9
    for one, other in zip(*seen, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert all((a != b).any() for a, b in itertools.pairwise(seen[0][:-1]))
    config, parts = prepare("trainer.max_epochs=1")
    callback = Table(False)
    Trainer(config.trainer, callbacks=[callback], seed=1).fit(parts.module, parts.data)
    np.testing.assert_array_equal(callback.tables[0], callback.tables[-1])  # so there is something to bring up to date


def test_a_hook_that_nobody_overrides_costs_no_look_at_the_model(prepare, monkeypatch):
    settled = []
    monkeypatch.setattr(WordsInUse, "settle", lambda self, settle=WordsInUse.settle: settled.append(1) or settle(self))

    class Watch(Callback):
        def on_train_epoch_end(self, trainer, metrics):
            self.seen = trainer.module.model.encoder.named_weights[WORDS].numpy()

    config, parts = prepare("trainer.max_epochs=1")
    watch = Watch()
    state = Trainer(config.trainer, callbacks=[watch], seed=1).fit(parts.module, parts.data)
    assert 0 < len(settled) < state.step
    np.testing.assert_array_equal(watch.seen, parts.module.model.encoder.named_weights[WORDS].numpy())


def test_a_keras_callback_saves_the_weights_of_the_very_step(prepare, tmp_path):
    tables = []
    for switch in ("true", "false"):
        config, parts = prepare(f"trainer.words_in_use={switch}", "trainer.max_epochs=1")
        path = str(tmp_path / switch) + "-{batch}.weights.h5"
        saver = tf_keras.callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=3)
        Trainer(config.trainer, callbacks=[saver], seed=1).fit(parts.module, parts.data)
        parts.module.model.load_weights(path.format(batch=6))
        tables.append(parts.module.model.encoder.named_weights[WORDS].numpy())
    np.testing.assert_allclose(*tables, atol=1e-6)


def test_a_model_is_whole_when_a_fit_ends_in_an_error(prepare):
    class Fail(Callback):
        def sees_model(self, hook):
            return False

        def on_train_batch_end(self, trainer):
            if trainer.state.step == 4:
                raise KeyError("an error")

    tables = []
    for switch in ("true", "false"):
        config, parts = prepare(f"trainer.words_in_use={switch}")
        with pytest.raises(KeyError, match="an error"):
            Trainer(config.trainer, callbacks=[Fail()], seed=1).fit(parts.module, parts.data)
        tables.append(parts.module.model.encoder.named_weights[WORDS].numpy())
    np.testing.assert_allclose(*tables, atol=1e-6)


@pytest.mark.parametrize("stop_step", [3, 11, 16])
def test_an_interrupted_fit_goes_on_to_bitwise_equal_weights(prepare, tmp_path, stop_step):
    config, whole = prepare()
    Trainer(config.trainer, tmp_path / "whole", seed=1).fit(whole.module, whole.data)
    _, first = prepare()
    folder = tmp_path / "parts"
    callback = StopAt(stop_step, signal.SIGTERM)
    with pytest.raises(RunInterrupted), StopSignal() as stop:
        Trainer(config.trainer, folder, [callback], seed=1, stop=stop).fit(first.module, first.data)
    _, resumed = prepare()
    latest = CheckpointStore(folder, 2).latest()
    config.trainer.words_in_use = False  # the checkpoint's optimizer knows the words in use alone
    Trainer(config.trainer, folder, seed=1).fit(resumed.module, resumed.data, resume_from=latest)
    assert_bitwise_equal(whole.module, resumed.module)


def test_only_a_table_that_learns_and_is_used_in_part_is_narrowed_and_by_adamw_alone(prepare):
    _, parts = prepare()
    model, ids, optimizer = parts.module.model, parts.data.train_loader().vocabulary(), AdamW(1e-3)
    assert find_words_in_use(model, optimizer, ids).vectors.shape[0] == len(ids)
    assert find_words_in_use(model, tf_keras.optimizers.AdamW(1e-3), ids) is None
    assert find_words_in_use(model, tf_keras.mixed_precision.LossScaleOptimizer(optimizer), ids) is None
    assert find_words_in_use(model, optimizer, None) is None
    assert find_words_in_use(model, optimizer, np.arange(int(0.9 * len(parts.loaded.vocab)))) is None
    model.encoder.layers.embeddings[0].trainable = False
    assert find_words_in_use(model, optimizer, ids) is None
