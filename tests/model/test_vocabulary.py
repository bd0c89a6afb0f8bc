"""Training the word embeddings in use alone: the same updates, the same weights everywhere, exact continuation."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from test_trainer import StopAt, assert_bitwise_equal

from bertexp.config.resolve import compose_config
from bertexp.errors import RunInterrupted
from bertexp.models import encoder as encoders
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.system.signals import StopSignal
from bertexp.training.checkpoint import CheckpointStore
from bertexp.training.trainer import Trainer

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


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_fit_makes_the_weights_of_one_that_trains_the_whole_table(prepare, monkeypatch, accumulate):
    fits = []
    for share in (0.8, 0.0):
        monkeypatch.setattr(encoders, "_LARGEST_SHARE_IN_USE", share)
        config, parts = prepare(f"trainer.accumulate_grad_batches={accumulate}")
        trainer = Trainer(config.trainer, seed=config.run.seed)
        trainer.fit(parts.module, parts.data)
        fits.append((parts, trainer))
    (narrow, one), (whole, other) = fits
    table = whole.loaded.encoder.named_weights["bert/embeddings/word_embeddings"]
    rows = narrow.loaded.encoder.vocabulary_in_use.rows
    assert rows.shape[0] < 0.5 * table.shape[0]
    assert rows.shape in [moment.shape for moment in one.optimizer.momentums]
    for a, b in zip(narrow.module.model.variables, whole.module.model.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, err_msg=a.name)
    losses = [[m["val/loss"] for _, m in trainer.state.history if "val/loss" in m] for trainer in (one, other)]
    assert len(losses[0]) == 3
    np.testing.assert_allclose(*losses, atol=1e-6)


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
    Trainer(config.trainer, folder, seed=1).fit(resumed.module, resumed.data, resume_from=latest)
    assert resumed.loaded.encoder.vocabulary_in_use is not None
    assert_bitwise_equal(whole.module, resumed.module)


def test_frozen_embeddings_and_texts_that_use_most_words_have_no_table_of_their_own(prepare, monkeypatch):
    config, parts = prepare("trainable=top_layers", "trainer.max_epochs=1")
    Trainer(config.trainer).fit(parts.module, parts.data)
    assert parts.loaded.encoder.vocabulary_in_use is None
    monkeypatch.setattr(encoders, "_LARGEST_SHARE_IN_USE", 0.01)
    config, parts = prepare("trainer.max_epochs=1")
    Trainer(config.trainer).fit(parts.module, parts.data)
    assert parts.loaded.encoder.vocabulary_in_use is None
