"""Settings say themselves: one check, one page of help a group, one page in docs/, all from the schema."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import bertexp.__main__ as door
from bertexp.commands.help import help_of, settings_page
from bertexp.config.catalog import all_settings, groups
from bertexp.config.checks import Settings, setting
from bertexp.config.resolve import compose_config
from bertexp.config.store import group_options
from bertexp.errors import ConfigError
from bertexp.sweeps.start import name_sweep
from bertexp.tasks import registry
from bertexp.tasks.classification.spec import ClassificationConfig, ClassificationSpec

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class OvenConfig(Settings, group="oven"):
    """Of an oven."""

    heat: float | None = setting(None, "of the air", unit="degrees", above=0, maximum=300)
    share: float = setting(0.5, "of its room", minimum=0, below=1)
    trays: int = setting(2, "in it", minimum=1)
    mode: str | None = setting("air", "how it heats", choices=("air", "grill"))
    names: list[str] = setting(list, "of its users")
    drift: float = setting(0.0, "of its clock")
    shelf: str = setting("top", "where its book lies", names_folder=True)
    note: str = setting("", "on its door")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"heat": 0.0}, "oven.heat=0.0 must be greater than 0 and at most 300"),
        ({"heat": 301.0}, "oven.heat=301.0 must be"),
        ({"heat": float("nan")}, "oven.heat=nan must be a finite number, greater than 0 and at most 300"),
        ({"drift": float("-inf")}, "oven.drift=-inf must be a finite number$"),
        ({"mode": ""}, "oven.mode is empty"),
        ({"shelf": ""}, "oven.shelf is empty"),
        ({"shelf": "a/.."}, "oven.shelf=a/.. must be one name without /"),
        ({"shelf": "."}, "oven.shelf=. must be one name"),
        ({"share": -0.1}, "oven.share=-0.1 must be at least 0 and less than 1"),
        ({"share": 1}, "oven.share=1 must be"),
        ({"trays": 0}, "oven.trays=0 must be at least 1"),
        ({"mode": "gril"}, "oven.mode=gril is not one of air, grill; did you mean 'grill'"),
    ],
)
def test_a_value_outside_of_what_its_setting_says_is_one_sentence(values, told):
    with pytest.raises(ConfigError, match=told):
        OvenConfig(**values)


def test_values_within_it_pass_and_null_stands_for_itself():
    assert OvenConfig(heat=300, share=0, mode=None, shelf="a..b") == OvenConfig(300, 0, 2, None, [], 0.0, "a..b", "")


def test_no_setting_of_any_group_takes_a_number_without_end_or_an_empty_text():
    for settings in [*groups().values(), *(task.settings for task in registry.all_tasks())]:
        for field in dataclasses.fields(settings):
            wrong = {"float": math.inf, "str": ""}.get(str(field.type).partition(" ")[0])
            if wrong is not None:
                told = rf"{settings.group}\.{field.name}(=inf must be a finite number| is empty)"
                with pytest.raises(ConfigError, match=told):
                    settings(**{field.name: wrong})


def test_a_task_of_ones_own_has_settings_that_are_checked_and_listed(monkeypatch):
    @dataclass
    class RankingConfig(ClassificationConfig):
        """Which of several."""

        name: str = setting("ranking", "the task")
        steps: int = setting(3, "of the rank", unit="ranks", above=1)

    class RankingSpec(ClassificationSpec):
        """Which of several."""

        name = "ranking"
        help = "Which of several."
        settings = RankingConfig

    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    registry.register_task(RankingSpec())
    with pytest.raises(ConfigError, match=r"task.steps=1 must be greater than 1"):
        compose_config(["task=ranking", "task.steps=1"])
    page = " ".join(help_of("task").split())
    assert "task.steps a whole number 3 of task=ranking: of the rank; ranks, greater than 1" in page
    assert "of task=classification and ranking: of two classes" in page


def test_every_setting_says_what_it_means_and_stands_in_the_help_of_its_group():
    for name, row in all_settings().items():
        assert row.about.meaning
        assert f"{name} " in help_of(name.split(".")[0])
    assert set(groups()) == {name.split(".")[0] for name in all_settings()}


def test_the_help_of_a_group_is_shown_at_the_door(monkeypatch, capsys):
    for line in (["--help", "optimizer"], ["optimizer", "-h"]):
        monkeypatch.setattr(sys, "argv", ["bertexp", *line])
        door.main()
        shown = " ".join(capsys.readouterr().out.split())
        assert "optimizer.beta_2 a number 0.999" in shown
        assert "adam Adam without weight decay." in shown
    monkeypatch.setattr(sys, "argv", ["bertexp", "--help", "optimizer", "export"])
    door.main()
    shown = capsys.readouterr().out
    assert "optimizer.beta_2" in shown
    assert "export.tolerance" in shown
    monkeypatch.setattr(sys, "argv", ["bertexp", "--help", "optimiser"])
    with pytest.raises(SystemExit, match="2"):
        door.main()
    assert "did you mean 'optimizer'" in capsys.readouterr().err


def test_a_group_of_options_alone_has_a_page_too():
    assert "overfit" in help_of("debug")
    assert "quickstart" in help_of("experiment")


def test_the_page_of_settings_is_the_one_that_the_script_makes():
    spec = importlib.util.spec_from_file_location("make_settings_page", ROOT / "scripts/make_settings_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == settings_page()


# options that one template makes


@pytest.mark.parametrize("layers", [2, 4, 6, 8, 10, 12])
def test_a_small_bert_is_what_its_own_file_said(layers):
    model = compose_config([f"model=small_bert_l{layers}"])[0].model
    assert (model.name, model.source, model.num_layers, model.hidden_size) == (
        *(f"small_bert_l{layers}", "tfhub", layers, 512),
    )
    sizes = "L-{num_layers}_H-{hidden_size}_A-{num_heads}"
    assert model.tfhub_handle == f"https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_{sizes}/1"
    assert model.tfhub_preprocess == "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"
    assert model.google_checkpoint == f"https://storage.googleapis.com/bert_models/2020_02_20/uncased_{sizes}.zip"
    assert group_options()["model"][f"small_bert_l{layers}"].startswith(
        f"Small BERT of {layers} layers from TF-Hub, 512 wide"
    )


def test_a_glob_takes_the_options_of_a_template():
    (dimension,) = name_sweep(["model=glob(small_bert_*)", "model.source=random"]).spec.space.dimensions
    assert dimension.choices == tuple(f"small_bert_l{layers}" for layers in (2, 4, 6, 8, 10, 12))
