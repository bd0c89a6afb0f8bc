"""Every recipe in experiments/ runs with `debug=fast`: its task, head, loss, optimizer, schedule and trainable on stand-ins."""

from __future__ import annotations

import math

import pyarrow.parquet as pq
import pytest

from bertexp.config.resolve import compose_config
from bertexp.config.store import shipped_folder
from bertexp.errors import ConfigError
from bertexp.runs.runner import run

RECIPES = sorted(path.stem for path in shipped_folder("experiments").glob("*.yaml"))
TRY = ["debug=fast", "tracking=none", "export.enabled=false"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_offline(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [f"experiment={recipe}", *TRY]
    result = run(words)
    assert math.isfinite(result.metrics["test/loss"])
    main_metric = compose_config(words)[0].task.main_metric
    assert f"test/{main_metric}" in result.metrics
    assert pq.ParquetFile(result.predictions).metadata.num_rows == 64


def test_a_frozen_recipe_is_rehearsed_frozen(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(["experiment=sst2_minilm", "trainable=frozen", *TRY])
    assert "parameters 65 trained" in capsys.readouterr().out  # the head: one logit over 64 features


def test_a_recipes_own_question_is_answered_by_the_reloaded_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(["experiment=mrpc_distilbert", "debug=fast", "tracking=none"])
    asked = "This research was consistent with his findings. | His findings were compatible with this research."
    answers = [line for line in capsys.readouterr().out.splitlines() if line.endswith(asked)]
    assert [line.split()[0] for line in answers] in (["equivalent"], ["not_equivalent"])


def test_examples_of_too_many_texts_are_told_before_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=r"a row of 2 texts.*the model of reviews reads 1: give rows such as \['a text'\]"
    ):
        run(["export.examples=[[one,two]]", *TRY[:2]])
