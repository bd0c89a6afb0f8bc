"""A recipe says on top what it claims, how it is run and where it comes from, and its command is accepted."""

from __future__ import annotations

import re
import shlex

import pytest

from bertexp.config.resolve import compose_config
from bertexp.config.store import shipped_folder
from bertexp.sweeps.start import name_sweep

RECIPES = sorted(shipped_folder("experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_carries_claim_command_and_source(path):
    claim, command, source = path.read_text(encoding="utf-8").splitlines()[:3]
    assert re.search(r"\d", claim)  # a figure, published or measured
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
    assert of("imdb_vertex_lab").model.dropout == 0.15
    garden = of("mrpc_model_garden")
    assert (garden.model.source, garden.task.binary_head, garden.optimizer.learning_rate) == ("google", "softmax", 2e-5)
