"""A recipe says on top what it claims, how it is run and where it comes from, and its command is accepted."""

from __future__ import annotations

import re
import shlex

import pytest

from bertexp.config.resolve import compose_config, flat_parameters
from bertexp.config.store import shipped_folder
from bertexp.sweeps.start import name_sweep

RECIPES = sorted(shipped_folder("experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_carries_claim_command_and_source(path):
    claim, command, source = path.read_text(encoding="utf-8").splitlines()[:3]
    assert re.search(r"\d\.\d|not measured whole", claim)  # a figure, published or measured
    assert source.startswith("# source:")
    words = shlex.split(command.partition("python -m bertexp ")[2])
    assert f"experiment={path.stem}" in words
    if "-m" in words:
        assert name_sweep([word for word in words if word != "-m"]).spec.space.size == 96
    else:
        compose_config(words)


def test_the_tutorials_keep_their_settings():
    def of(name: str):
        return compose_config([f"experiment={name}"])[0]

    tutorial = of("imdb_small_bert")
    assert (tutorial.model.num_layers, tutorial.model.hidden_size, tutorial.model.dropout) == (4, 512, 0.1)
    assert (tutorial.optimizer.learning_rate, tutorial.trainer.max_epochs, tutorial.trainer.batch_size) == (3e-5, 5, 32)
    assert (tutorial.optimizer.epsilon, tutorial.optimizer.weight_decay, tutorial.optimizer.warmup_form) == (
        1e-6,
        0.01,
        "bert",
    )
    lab = of("imdb_vertex_lab")
    assert (lab.model.dropout, lab.task.binary_head, lab.trainer.restore_best) == (0.15, "sigmoid", False)
    notes = of("mrpc_distilbert")
    assert (notes.optimizer.name, notes.optimizer.learning_rate, notes.optimizer.epsilon) == ("adam", 3e-5, 1e-8)
    assert (notes.optimizer.schedule, notes.trainer.max_epochs, notes.trainer.gradient_clip_norm) == (
        "constant",
        2,
        1.0,
    )
    garden = of("mrpc_model_garden")
    assert (garden.model.source, garden.task.binary_head, garden.optimizer.learning_rate) == ("google", "softmax", 2e-5)


STAND_INS = {  # what debug=fast may change: encoder, data, length
    *("run.rehearsal", "dataset.limit_train", "dataset.limit_val", "dataset.limit_test"),
    *("model.source", "model.path", "model.num_layers", "model.hidden_size", "model.num_heads"),
    *("trainer.max_epochs", "trainer.batch_size", "trainer.log_every_steps"),
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_rehearsal_keeps_all_of_a_recipe_but_encoder_data_and_length(path):
    words = [f"experiment={path.stem}", "model.path=nowhere"]
    whole, rehearsed = (flat_parameters(compose_config(given)[0]) for given in (words, [*words, "debug=fast"]))
    assert {name for name, value in rehearsed.items() if value != whole[name]} <= STAND_INS
    assert (rehearsed["model.source"], rehearsed["model.path"], rehearsed["model.num_layers"]) == ("random", None, 2)


def test_a_rehearsal_keeps_what_is_trainable():
    frozen, _ = compose_config(["experiment=sst2_minilm", "trainable=frozen", "debug=fast"])
    assert (frozen.trainable.encoder, frozen.model.source) == ("frozen", "random")
    top, _ = compose_config(["model=minilm_l6", "trainable=top_layers", "trainable.top_layers=4", "debug=fast"])
    assert (top.trainable.encoder, top.trainable.top_layers) == ("top_layers", 2)
    cls, _ = compose_config(["experiment=mrpc_distilbert", "debug=fast"])
    assert (cls.model.pooling, cls.model.type_vocab_size) == ("cls", 0)
