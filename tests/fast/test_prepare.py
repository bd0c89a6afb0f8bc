"""What a run or a trial is refused for before TensorFlow is imported."""

from __future__ import annotations

import json
import shutil

import pytest

from bertexp.config.resolve import compose_config
from bertexp.errors import ConfigError
from bertexp.runs.plan import make_plan
from bertexp.runs.runner import prepare

POSITIONS = 64


@pytest.fixture
def weights(tmp_path):
    """A Hugging Face folder of an encoder that numbers 64 positions; the weights themselves are not read here."""
    folder = tmp_path / "weights"
    folder.mkdir()
    sizes = {
        "vocab_size": 7,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
    }
    rest = {"max_position_embeddings": POSITIONS, "type_vocab_size": 2, "hidden_act": "gelu"}
    rest |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "model_type": "bert"}
    (folder / "config.json").write_text(json.dumps(sizes | rest))
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a"]))
    (folder / "model.safetensors").touch()
    return folder


def compose(tmp_path, *words):
    return compose_config(["model=custom", f"run.outputs_dir={tmp_path}", "dataset.limit_train=8", *words])[0]


def test_texts_longer_than_the_encoders_positions_are_refused_with_the_plan(tmp_path, weights):
    with pytest.raises(
        ConfigError, match=r"dataset\.max_length=128, but the encoder has 64 positions: give dataset\.max_len"
    ):
        make_plan(compose(tmp_path, f"model.path={weights}"))
    config = compose(tmp_path, f"model.path={weights}", f"dataset.max_length={POSITIONS}")
    assert prepare(config, make_plan(config)).plan.model.architecture.max_positions == POSITIONS


def test_and_with_weights_in_an_archive_once_they_are_unpacked(tmp_path, weights):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", weights)
    config = compose(tmp_path, f"model.path={archive}")
    plan = make_plan(config)
    assert plan.model.architecture is None
    with pytest.raises(ConfigError, match="the encoder has 64 positions"):
        prepare(config, plan)


def test_examples_must_have_as_many_texts_as_the_model_reads(tmp_path, weights):
    config = compose(tmp_path, f"model.path={weights}", "dataset.max_length=64", "export.examples=[[one],[one,two]]")
    with pytest.raises(ConfigError, match=r"export\.examples has a row of 2 texts, .* reads 1"):
        prepare(config, make_plan(config))
