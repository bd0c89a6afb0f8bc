"""Trials in one process share what they can, change nothing by it, and leave nothing behind."""

from __future__ import annotations

import gc
import shutil

import numpy as np
import pytest
from published import write_huggingface

from bertexp.config.resolve import compose_config
from bertexp.data.sets.reviews import load_vocab
from bertexp.errors import ConfigError, DataError
from bertexp.models.encoder import make_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.runs.plan import make_plan
from bertexp.runs.runner import prepare
from bertexp.runs.stages.parts import build_parts
from bertexp.sweeps.work import trial
from bertexp.sweeps.work.warm import WarmParts
from bertexp.training.trainer import Trainer

SMALL = ["dataset.limit_train=48", "dataset.limit_val=16", "dataset.limit_test=16", "trainer.batch_size=8",
         "model.num_layers=1", "model.hidden_size=64", "trainer.deterministic=true"]  # fmt: skip


def fitted_weights(config, parts) -> list[np.ndarray]:
    Trainer(config.trainer, seed=config.run.seed).fit(parts.module, parts.data)
    return [variable.numpy() for variable in parts.module.model.variables]


@pytest.fixture
def compose(tmp_path):
    def composed(*words: str):
        config, _ = compose_config([*SMALL, f"run.outputs_dir={tmp_path}", "trainer.max_epochs=1", *words])
        plan = make_plan(config)
        return config, plan, plan.dataset.load()

    return composed


def test_a_warm_trial_equals_a_run_of_its_own_bit_for_bit(compose):
    warm = WarmParts()
    first = compose("optimizer.learning_rate=1e-2", "optimizer.warmup_fraction=0.3", "trainer.max_epochs=2")
    fitted_weights(first[0], warm.build(*first))
    second = compose("optimizer.learning_rate=1e-3", "optimizer.warmup_fraction=0.0")
    parts = warm.build(*second)
    step = parts.module._steps
    shared = fitted_weights(second[0], parts)
    assert parts.module._steps == step  # the graph of the first trial served the second
    for one, other in zip(shared, fitted_weights(second[0], build_parts(*second)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_trial_with_another_model_gets_one_of_its_own(compose):
    warm = WarmParts()
    wide = warm.build(*compose("model.hidden_size=128"))
    narrow = warm.build(*compose())
    assert narrow.module is not wide.module
    assert narrow.module.model.head.dense.kernel.shape[0] == 64
    assert warm.build(*compose("run.seed=7")).module is not narrow.module


def test_a_model_that_was_trained_can_be_freed(compose):
    """A graph that TensorFlow keeps for good would hold 100 MB of a real model's weights for every trial."""

    def graphs() -> int:
        gc.collect()
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    config, plan, dataset = compose()
    counts = []
    for _ in range(3):
        fitted_weights(config, build_parts(config, plan, dataset))
        counts.append(graphs())
    assert counts[2] == counts[1]


def test_without_validation_rows_latency_alone_can_be_an_objective(compose, tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"film {row},{row % 2}\n" for row in range(20)))
    config, plan, dataset = compose("dataset=files", f"dataset.path={tmp_path}/rows.csv", "dataset.val_fraction=0")
    monkeypatch.setattr(trial, "LATENCY_ROWS", 3)
    trial._require_validation([trial.LATENCY], config, dataset)
    assert trial._measure_latency(build_parts(config, plan, dataset)) > 0
    with pytest.raises(DataError, match=r"objective val/f1 is measured; set dataset\.val_fraction above 0"):
        trial._require_validation([trial.LATENCY, "val/f1"], config, dataset)


def test_a_trial_is_prepared_as_a_run_whatever_the_one_before_has_brought(tmp_path):
    """Two models in archives that lie unpacked nowhere, then a setting that does not go with the data."""
    words = [*SMALL[:4], f"run.outputs_dir={tmp_path}", "model=custom", "trainer.max_epochs=1"]
    warm = WarmParts()
    for size in (8, 16):
        architecture = BertArchitecture(len(load_vocab()), size, num_layers=1, num_heads=1, intermediate_size=16)
        folder = tmp_path / f"bert-{size}"
        write_huggingface(folder, make_encoder(architecture, seed=1), architecture, load_vocab())
        shutil.make_archive(str(folder), "zip", folder)
        shutil.rmtree(folder)
        config, _ = compose_config([*words, f"model.path={folder}.zip"])
        prepared = prepare(config, warm.plan(config))
        parts = warm.build(config, prepared.plan, prepared.dataset)
        assert parts.loaded.architecture.hidden_size == size
    config, _ = compose_config([*words, f"model.path={tmp_path}/bert-8.zip", "export.examples=[[one,two]]"])
    with pytest.raises(ConfigError, match="a row of 2 texts"):
        prepare(config, warm.plan(config))
