"""Frozen layers run once: the same updates, files that are found again, a bounded folder."""

from __future__ import annotations

import numpy as np
import pytest

from bertexp.config.resolve import compose_config
from bertexp.data.examples.activations import ActivationFolder
from bertexp.errors import EnvironmentProblem
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.frozen_layers import keep_activations
from bertexp.runs.stages.parts import build_parts
from bertexp.training.trainer import Trainer

SMALL = ["dataset.limit_train=72", "dataset.limit_val=24", "dataset.limit_test=16", "trainer.batch_size=8",
         "model.num_layers=3", "model.hidden_size=64", "trainer.max_epochs=3"]  # fmt: skip


@pytest.fixture
def prepare(tmp_path):
    def prepared(encoder: str, *words: str):
        config, _ = compose_config([*SMALL, f"run.outputs_dir={tmp_path}", *words])
        config.trainable.encoder = encoder  # set here, since a command line may not freeze random weights
        plan = make_plan(config)
        return config, build_parts(config, plan, plan.dataset.load())

    return prepared


def files(tmp_path):
    return sorted((tmp_path / "cache" / "activations").glob("*"))


@pytest.mark.parametrize("pooling", ["pooler", "mean"])
@pytest.mark.parametrize("encoder", ["frozen", "top_layers"])
def test_a_fit_on_kept_activations_makes_the_updates_of_a_fit_on_tokens(prepare, encoder, pooling):
    fits = []
    for cached in (False, True):
        config, parts = prepare(encoder, f"model.pooling={pooling}")
        data = keep_activations(config, parts) if cached else parts.data
        assert (data is not parts.data) == cached
        state = Trainer(config.trainer, seed=config.run.seed).fit(parts.module, data)
        fits.append(([variable.numpy() for variable in parts.module.model.trainable_variables], state))
    (tokens, one), (activations, other) = fits
    assert one.step == other.step == 27
    for a, b in zip(tokens, activations, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    losses = [[m["val/loss"] for _, m in state.history if "val/loss" in m] for state in (one, other)]
    np.testing.assert_allclose(*losses, atol=1e-5)


def test_only_frozen_layers_are_kept_and_only_what_is_read_again(prepare, tmp_path):
    for words in (["full"], ["frozen", "trainer.max_epochs=1"],
                  ["frozen", "trainer.activation_cache_gb=0"], ["frozen", "trainer.overfit_batches=2"],
                  ["frozen", "trainer.max_epochs=null", "trainer.max_steps=9"], ["frozen", "trainer.limit_train_batches=3"]):  # fmt: skip
        config, parts = prepare(*words)
        assert keep_activations(config, parts) is parts.data
    assert files(tmp_path) == []


def test_another_run_reads_what_the_first_one_kept_and_another_seed_does_not(prepare, tmp_path):
    keep_activations(*prepare("top_layers"))
    first = {path: path.stat().st_ino for path in files(tmp_path)}
    assert len(first) == 2
    keep_activations(*prepare("top_layers", "optimizer.learning_rate=0.1", "model.dropout=0.3"))
    assert {path: path.stat().st_ino for path in files(tmp_path)} == first
    keep_activations(*prepare("top_layers", "run.seed=7"))  # other random weights
    assert len(files(tmp_path)) == 4


def test_too_large_activations_are_not_kept_and_the_sentence_says_why(prepare, tmp_path, capsys):
    config, parts = prepare("top_layers", "trainer.activation_cache_gb=1e-5")
    assert keep_activations(config, parts) is parts.data
    assert "trainer.activation_cache_gb allows 0.0" in capsys.readouterr().out
    assert files(tmp_path) == []


def test_the_folder_lets_the_least_recently_used_go_and_keeps_no_half_file(tmp_path):
    folder = ActivationFolder(tmp_path, limit_bytes=200)
    shape = (4, 4)  # 64 bytes and npy's header of 128
    rows = [(np.arange(4), np.ones(shape, np.float32))]
    with pytest.raises(KeyError):
        folder.write("broken", None, shape, iter_then_fail(rows))
    assert list(tmp_path.iterdir()) == []
    folder.write("first", None, shape, rows)
    folder.write("second", None, shape, rows)
    assert [path.name for path in tmp_path.iterdir()] == ["second.npy"]
    assert folder.find("first", None, shape) is None
    np.testing.assert_array_equal(
        folder.find("second", None, shape).pack(np.array([2, 0]), 1)["pooled"], np.ones((2, 4))
    )


def test_a_full_disk_is_one_sentence_and_not_the_end_of_the_process(small_disk):
    """A page of a mapped file that finds no space would kill the process."""
    folder = ActivationFolder(small_disk, limit_bytes=10**6)
    with pytest.raises(EnvironmentProblem, match="no space is left"):
        folder.write("large", None, (1000, 100), [(np.arange(1000), np.ones((1000, 100), np.float32))])
    assert list(small_disk.iterdir()) == []


def iter_then_fail(rows):
    yield from rows
    raise KeyError("the run was stopped")
