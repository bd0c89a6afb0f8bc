"""The loop: order of hooks, exact continuation, accumulation, guards, Keras callbacks."""

from __future__ import annotations

import json
import math
import signal
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from toy import ToyData, make_module

from bertexp.config.schema import TrainerConfig
from bertexp.data.examples.loaders import EvalLoader
from bertexp.errors import ConfigError, DataError, FormatUnknown, RunInterrupted, TrainingDiverged
from bertexp.models.encoder import make_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.text_model import TextClassifier
from bertexp.system.signals import StopSignal
from bertexp.tasks.classification.task import Classification
from bertexp.training.best import BestWeights
from bertexp.training.callbacks import Callback
from bertexp.training.checkpoint import FORMAT, CheckpointStore, LoopState, read_state, remove_checkpoints, restore
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.schedule import Schedule
from bertexp.training.trainer import Trainer


class Recorder(Callback):
    """Writes down the name of each hook as it is called."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda *_: self.calls.append(name)
        return super().__getattribute__(name)


class Metrics:
    """A logger that keeps what it is given."""

    def __init__(self):
        self.points = {}

    def log_metrics(self, metrics, step):
        for name, value in metrics.items():
            assert (name, step) not in self.points or not name.startswith(("val", "train/loss_"))
            self.points[name, step] = value

    def flush(self):
        self.flushed = dict(self.points)


def weights_of(module):
    return [v.numpy() for v in module.model.variables]


def assert_bitwise_equal(first, second):
    for a, b in zip(weights_of(first), weights_of(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_hooks_are_called_in_the_documented_order(tmp_path):
    recorder = Recorder()
    config = TrainerConfig(max_epochs=1, log_every_steps=1, validate_every_steps=2, checkpoint_every_steps=2)
    Trainer(config, tmp_path, [recorder]).fit(make_module(), ToyData(rows=16, batch_size=8))
    assert recorder.calls == [
        "on_fit_start",
        "on_train_epoch_start",
        "on_train_batch_start",
        "on_train_batch_end",
        "on_metrics",
        "on_train_batch_start",
        "on_train_batch_end",
        "on_metrics",
        "on_validation_start",
        "on_metrics",
        "on_validation_end",
        "on_save_checkpoint",
        "on_metrics",
        "on_train_epoch_end",
        "on_save_checkpoint",
        "on_fit_end",
    ]


def test_fit_learns_and_restores_the_best_weights(tmp_path):
    module = make_module()
    trainer = Trainer(TrainerConfig(max_epochs=8), tmp_path)
    state = trainer.fit(module, ToyData())
    assert state.best_score > 0.9
    assert trainer.validate(module, ToyData())["val/accuracy"] == pytest.approx(state.best_score)


class StopAt(Callback):
    """Sends this process a signal once a step is done."""

    def __init__(self, step, number=signal.SIGTERM):
        self.step, self.number = step, number

    def on_train_batch_end(self, trainer):
        if trainer.state.step == self.step:
            signal.raise_signal(self.number)


@pytest.mark.parametrize("stop_step", [5, 8, 13])
@pytest.mark.parametrize(
    "settings", [{}, {"checkpoint_every_steps": 3, "validate_every_steps": 4, "log_every_steps": 3}]
)
def test_an_interrupted_run_goes_on_to_bitwise_equal_weights_and_equal_metrics(tmp_path, stop_step, settings):
    config = TrainerConfig(max_epochs=3, **settings)
    whole, logged_whole = make_module(), Metrics()
    Trainer(config, tmp_path / "whole", logger=logged_whole).fit(whole, ToyData())

    folder, logged = tmp_path / "parts", Metrics()
    with pytest.raises(RunInterrupted) as caught, StopSignal() as stop:
        Trainer(config, folder, [StopAt(stop_step)], logged, stop=stop).fit(make_module(), ToyData())
    assert caught.value.exit_status == 128 + signal.SIGTERM
    latest = CheckpointStore(folder, 2).latest()
    assert latest.name == f"step-{stop_step:08d}"

    resumed = make_module(learning_rate=0.05)
    for variable in resumed.model.variables:
        variable.assign(tf.zeros_like(variable))  # whatever is there must come from the checkpoint
    state = Trainer(config, folder, logger=logged).fit(resumed, ToyData(), resume_from=latest)
    assert_bitwise_equal(whole, resumed)
    timeless = {key: value for key, value in logged_whole.points.items() if "per_second" not in key[0]}
    assert {key: value for key, value in logged.points.items() if "per_second" not in key[0]} == timeless
    assert [step for step, _ in state.history] == sorted(step for step, _ in state.history)


def test_a_kill_after_a_checkpoint_repeats_only_the_steps_since(tmp_path):
    config = TrainerConfig(max_epochs=2, checkpoint_every_steps=5, keep_checkpoints=8, restore_best=False)
    whole = make_module()
    Trainer(config, tmp_path).fit(whole, ToyData())
    earlier = tmp_path / "step-00000005"
    again = make_module()
    Trainer(config, tmp_path / "other").fit(again, ToyData(), resume_from=earlier)
    assert_bitwise_equal(whole, again)


def test_old_checkpoints_go_and_incomplete_ones_do_not_count(tmp_path):
    config = TrainerConfig(max_epochs=2, checkpoint_every_steps=2, keep_checkpoints=2)
    Trainer(config, tmp_path).fit(make_module(), ToyData())
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000014", "step-00000016"]
    assert len(list(tmp_path.glob("best-*"))) == 1
    (tmp_path / "step-00000099").mkdir()
    assert CheckpointStore(tmp_path, 2).latest().name == "step-00000016"


def test_accumulated_batches_equal_one_large_batch():
    large, small = make_module(rate=0.0), make_module(rate=0.0)
    Trainer(TrainerConfig(max_epochs=2)).fit(large, _Ordered(batch_size=16))
    state = Trainer(TrainerConfig(max_epochs=2, accumulate_grad_batches=2)).fit(small, _Ordered(batch_size=8))
    assert state.step == 8
    for a, b in zip(weights_of(large), weights_of(small), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


class _Ordered(ToyData):
    """Rows in their own order, so that two batch sizes see the same rows."""

    def train_loader(self, limit_rows=None):
        loader = super().train_loader(limit_rows)
        loader.order = lambda epoch: [np.arange(i, i + self.batch_size) for i in range(0, 64, self.batch_size)]
        return loader


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    class Poison(Callback):
        def on_train_batch_end(self, trainer):
            if trainer.state.step == 7:
                trainer.module.model.head.bias.assign([np.nan])

    config = TrainerConfig(max_epochs=2, checkpoint_every_steps=3)
    with pytest.raises(TrainingDiverged, match=r"learning_rate.*step-00000006"):
        Trainer(config, tmp_path, [Poison()]).fit(make_module(), ToyData())
    assert CheckpointStore(tmp_path, 2).latest().name == "step-00000006"


def test_an_output_that_is_no_number_is_not_judged():
    module = make_module()
    Trainer(TrainerConfig(max_epochs=1)).fit(module, ToyData())
    module.model.head.bias.assign([np.nan])
    with pytest.raises(TrainingDiverged, match=r"output is no number.*learning_rate"):
        Trainer(TrainerConfig()).test(module, ToyData(), "val")


def test_a_score_that_is_no_number_is_never_the_best():
    module, state = make_module(), LoopState()
    best = BestWeights(module, TrainerConfig(monitor="val/mcc"), None)
    for step, score in enumerate([math.nan, 0.2, math.nan, 0.1]):
        state.step = step
        best.judge({"val/mcc": score, "val/loss": 0.5}, state)
    assert (state.best_score, state.best_step, state.validations_without_improvement) == (0.2, 1, 2)
    former = LoopState(best_score=math.nan, best_step=3)  # as an earlier version kept it
    best.judge({"val/mcc": -0.5, "val/loss": 0.5}, former)
    assert former.best_score == -0.5


def test_max_steps_fast_dev_run_limits_and_overfitting():
    assert Trainer(TrainerConfig(max_steps=11)).fit(make_module(), ToyData()).step == 11
    assert Trainer(TrainerConfig(max_epochs=3, fast_dev_run=True)).fit(make_module(), ToyData()).step == 1
    assert Trainer(TrainerConfig(max_epochs=2, limit_train_batches=3)).fit(make_module(), ToyData()).step == 6
    state = Trainer(TrainerConfig(max_epochs=30, overfit_batches=1, batch_size=8)).fit(make_module(rate=0.0), ToyData())
    assert state.step == 30
    assert state.best_score == 1.0


def test_early_stopping_counts_validations_without_improvement():
    state = Trainer(TrainerConfig(max_epochs=50, early_stopping_patience=2)).fit(make_module(), ToyData())
    assert state.epoch < 50
    assert state.validations_without_improvement == 2


def test_of_equal_scores_the_lower_loss_is_kept(tmp_path):
    module = make_module()
    losses = iter([0.5, 0.3, 0.4])
    results = {"update": lambda truth, logits: None, "result": lambda: {"f1": 0.0, "loss": next(losses)}}
    found = SimpleNamespace(left_out="", **results)
    module.task.make_metrics = lambda: found
    module.task.main_metric = "f1"
    state = Trainer(TrainerConfig(max_epochs=3), tmp_path).fit(module, ToyData())
    assert (state.best_step, state.best_loss) == (16, 0.3)


def test_an_unknown_monitor_is_named_with_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'val/accuracy'"):
        Trainer(TrainerConfig(max_epochs=1, monitor="val/acuracy")).fit(make_module(), ToyData())


def test_a_monitor_that_is_left_out_for_so_many_classes_is_refused_before_a_step():
    module, recorder = make_module(), Recorder()
    module.task = Classification(tuple(f"class {number}" for number in range(101)))
    with pytest.raises(
        ConfigError, match=r"trainer.monitor=val/roc_auc cannot be had: roc_auc is measured for up to 100"
    ):
        Trainer(TrainerConfig(max_epochs=1, monitor="val/roc_auc"), callbacks=[recorder]).fit(module, ToyData())
    assert recorder.calls == ["on_exception"]


def test_predictions_are_batches_that_tell_their_rows():
    data, module = ToyData(), make_module()
    batches = list(Trainer(TrainerConfig()).predict(module, data))
    assert [len(batch.logits) for batch in batches] == [16] * 4
    rows = np.concatenate([batch.rows for batch in batches])
    assert sorted(rows) == list(range(64))
    assert (np.diff(data.lengths[rows]) <= 0).all()  # the longest first
    for batch in batches:
        np.testing.assert_array_equal(batch.truth, data.labels[batch.rows])
        features, _ = data.pack(batch.rows)
        np.testing.assert_allclose(batch.logits, module.model(features).numpy(), atol=1e-6)
    (one,) = Trainer(TrainerConfig(limit_test_batches=1)).predict(module, data)
    assert sorted(one.rows) == list(range(16))


class EmptyData(ToyData):
    """Has training rows alone."""

    def eval_loader(self, split, **limits):
        return EvalLoader(self.chosen(0), 16, 128)


@pytest.mark.parametrize("method", ["validate", "test", "predict"])
def test_a_split_without_rows_is_one_sentence_before_anything_runs(method):
    trainer = Trainer(TrainerConfig(), callbacks=[recorder := Recorder()])
    split = "val" if method == "validate" else "test"
    with pytest.raises(DataError, match=f"no rows in the split '{split}'.*dataset.val_fraction"):
        getattr(trainer, method)(make_module(), EmptyData())
    assert recorder.calls == []
    state = trainer.fit(make_module(), EmptyData())  # which needs none
    assert state.validated_step == -1


def test_rows_without_labels_are_predicted_but_not_judged():
    class Unlabelled(ToyData):
        def eval_loader(self, split, **limits):
            return EvalLoader(self, 16, 128, labelled=False)

    trainer, data = Trainer(TrainerConfig()), Unlabelled()
    for method, split in ((trainer.validate, "val"), (trainer.test, "test")):
        with pytest.raises(DataError, match=f"split '{split}' have no labels"):
            method(make_module(), data)
    assert len(list(trainer.predict(make_module(), data))) == 4


def test_an_evaluation_keeps_a_few_batches_however_many_there_are():
    """Counted is what is alive of all logits that the model has made."""
    made, most = [], 0

    def predict_step(features):
        logits = np.zeros((len(features["input_word_ids"]), 1), np.float32)
        made.append(weakref.ref(logits))
        return logits

    module = make_module()
    module.compiled_predict_step = lambda spec: predict_step

    def count(batch):
        nonlocal most
        most = max(most, sum(logits() is not None for logits in made))

    for rows in (64, 640):
        most = 0
        result = Trainer(TrainerConfig()).test(module, ToyData(rows), after_batch=count)
        assert result.rows == rows
        assert result.metrics["test/loss"] == pytest.approx(np.log(2))
        assert 1 <= most <= 3


def test_keras_callbacks_see_kerass_names_and_act_on_model_and_optimizer(tmp_path):
    seen = []
    callbacks = [
        tf_keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, dict(logs)))),
        tf_keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=10.0),
        tf_keras.callbacks.ModelCheckpoint(
            str(tmp_path / "best.weights.h5"), monitor="val_accuracy", save_best_only=True, save_weights_only=True
        ),
    ]
    module = make_module()
    Trainer(TrainerConfig(max_epochs=3), callbacks=callbacks).fit(module, ToyData())
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(seen[0][1])
    assert float(module.model.optimizer.learning_rate) == pytest.approx(0.05 * 0.5**2)
    assert (tmp_path / "best.weights.h5").exists()


def test_keras_early_stopping_ends_the_run():
    stopping = tf_keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=10.0)
    state = Trainer(TrainerConfig(max_epochs=20), callbacks=[stopping]).fit(make_module(), ToyData())
    assert state.epoch == 2


def test_the_optimizer_is_not_saved_with_the_model(tmp_path):
    module = make_module()
    Trainer(TrainerConfig(max_epochs=1)).fit(module, ToyData())
    path = tf.train.Checkpoint(model=module.model).write(str(tmp_path / "weights"))
    assert not [name for name, _ in tf.train.list_variables(path) if "optimizer" in name]


def test_a_step_through_xla_and_one_without_make_the_same_updates_and_each_is_traced_once():
    weights = []
    for jit_compile in (False, True):
        module = make_module(learning_rate=0.5)
        trainer = Trainer(TrainerConfig(max_epochs=2, jit_compile=jit_compile, gradient_clip_norm=0.05))
        trainer.fit(module, ToyData())
        assert trainer._step._direct.experimental_get_tracing_count() == 1
        weights.append(weights_of(module))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_run_begun_before_moments_were_plain_goes_on_to_the_weights_it_would_have_come_to(policy, tmp_path):
    """tests/model/former: step 9 of 12 and the last weights, written by commit 8e6fea5, whose AdamW clipped by its betas, put
    decay off and (in float32) left other words than the first 16 to it."""
    former = Path(__file__).parent / "former" / policy
    sizes = BertArchitecture(24, 8, 1, 2, 16, max_positions=8, hidden_dropout=0.0, attention_dropout=0.0)

    class Data(ToyData):
        def train_loader(self, limit_rows=None):
            loader = super().train_loader(limit_rows)
            loader.vocabulary = lambda: np.arange(16)
            return loader

    def make_optimizer(steps):
        return AdamW(1e-3, Schedule("linear", steps, 0, "bert"), weight_decay=8e-4)

    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = TextClassifier(make_encoder(sizes, 0, only_cls=True), 1, "pooler", 0.0, 0)
        module = FineTuningModule(model, Classification(("no", "yes")), make_optimizer)
        config = TrainerConfig(max_epochs=3, restore_best=False, gradient_clip_norm=0.1)
        state = Trainer(config, tmp_path).fit(module, Data(rows=32), resume_from=former / "step-00000009")
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert state.step == 12
    ends = np.load(former / "ends.npz")
    tolerance = 2e-6 if policy == "float32" else 3e-5
    for number, variable in enumerate(model.variables):
        np.testing.assert_allclose(variable, ends[str(number)], atol=tolerance, err_msg=variable.name)


def test_a_kill_while_checkpoints_are_removed_leaves_none_that_looks_whole(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path, 2)
    variable = tf.train.Checkpoint(x=tf.Variable(1.0))
    for step in (1, 2):
        store.save(variable, LoopState(step=step))
    killed = SimpleNamespace(rmtree=lambda *_, **__: 1 / 0)
    monkeypatch.setattr("bertexp.training.checkpoint.shutil", killed)
    with pytest.raises(ZeroDivisionError):
        store.save(variable, LoopState(step=3))
    assert [path.name for path in store._complete("step-")] == ["step-00000002", "step-00000003"]
    with pytest.raises(ZeroDivisionError):
        remove_checkpoints(tmp_path)
    assert store.latest() is None


def test_a_checkpoint_that_is_written_again_is_there_all_the_while(tmp_path):
    store = CheckpointStore(tmp_path, 1)
    for value in (1.0, 2.0):
        store.save(tf.train.Checkpoint(x=tf.Variable(value)), LoopState(step=5))
    again = tf.Variable(0.0)
    restore(tf.train.Checkpoint(x=again), store.latest())
    assert again.numpy() == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_a_checkpoint_of_a_later_format_is_refused_and_one_without_a_number_is_read(tmp_path):
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"step": 7, "history": [[7, {"train/loss": 0.5}]]}))
    assert read_state(tmp_path) == LoopState(step=7, history=[(7, {"train/loss": 0.5})])
    state.write_text(json.dumps({"step": 7, "format": FORMAT + 1}))
    with pytest.raises(
        FormatUnknown, match=rf"state\.json has format {FORMAT + 1}, and this bertexp reads up to {FORMAT}"
    ):
        read_state(tmp_path)


def test_a_step_whose_graphs_are_rewritten_makes_the_same_updates():
    weights = []
    for rewrite in (False, True):
        module = make_module(learning_rate=0.5)
        Trainer(TrainerConfig(max_epochs=2, rewrite_graphs=rewrite)).fit(module, ToyData())
        weights.append(weights_of(module))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
