"""A study and its folder belong to what the command's words meant when it began: settings as they resolve, and data."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from bertexp.config.resolve import compose_config
from bertexp.config.store import register_folder
from bertexp.errors import ConfigError
from bertexp.sweeps.start import begin_sweep, name_sweep
from bertexp.sweeps.storage import JOURNAL
from bertexp.sweeps.work.study import SweepStudy

LR = "optimizer.learning_rate"


def begin(folder: Path, *words: str) -> bool:
    return begin_sweep(name_sweep([f"{LR}=1e-4,1e-3", "sweep.name=mine", *words]), str(folder), 1)


def own_rows(folder: Path, word: str) -> list[str]:
    rows = "".join(f"{word} {row},{row % 2}\n" for row in range(40))
    (folder / "rows.csv").write_text(f"text,label\n{rows}")
    return ["dataset=files", f"dataset.path={folder}/rows.csv"]


def test_other_data_at_the_same_path_are_another_sweep(tmp_path):
    words = own_rows(tmp_path, "film")
    assert begin(tmp_path / "sweep", *words)
    assert begin(tmp_path / "sweep", *words)
    own_rows(tmp_path, "book")
    with pytest.raises(
        ConfigError, match=r"the fingerprint of the data was \w{16} and is \w{16}\. .* sweep\.name=<new"
    ):
        begin(tmp_path / "sweep", *words)
    own_rows(tmp_path, "film")
    assert begin(tmp_path / "sweep", *words)


def test_an_edited_recipe_is_another_sweep_and_a_default_given_in_words_is_not(tmp_path, monkeypatch):
    compose_config([])  # by now all that Hydra stores itself stands in the store that is copied below
    store, clean = ConfigStore.instance(), copy.deepcopy(ConfigStore.instance().repo)

    def write_recipe(decay: float) -> None:
        (tmp_path / "experiment").mkdir(exist_ok=True)
        (tmp_path / "experiment" / "my_recipe.yaml").write_text(f"optimizer:\n  weight_decay: {decay}\n")
        monkeypatch.setattr(store, "repo", copy.deepcopy(clean))
        register_folder(tmp_path)

    write_recipe(0.1)
    assert begin(tmp_path / "sweep", "experiment=my_recipe")
    assert begin(tmp_path / "sweep", "experiment=my_recipe", "run.seed=42", "tracking=none")
    write_recipe(0.2)
    with pytest.raises(ConfigError, match=r"optimizer\.weight_decay was 0\.1 and is 0\.2\. Take them back"):
        begin(tmp_path / "sweep", "experiment=my_recipe")


def test_a_deleted_study_does_not_give_its_trials_to_another_sweep(tmp_path):
    assert begin(tmp_path, "trainer.batch_size=8")
    (tmp_path / JOURNAL).unlink()
    with pytest.raises(ConfigError, match=r"trainer\.batch_size was 8 and is 16\. .* sweep\.name=<new name>"):
        begin(tmp_path, "trainer.batch_size=16")
    with pytest.raises(
        ConfigError, match=r"the space of optimizer\.learning_rate was 0\.0001, 0\.001 and is 0\.1, 0\.2"
    ):
        begin(tmp_path, "trainer.batch_size=8", f"{LR}=0.1,0.2")
    assert not (tmp_path / JOURNAL).exists()
    assert begin(tmp_path, "trainer.batch_size=8")


def test_a_study_begun_without_a_fingerprint_takes_the_present_one_and_says_so(tmp_path, capsys):
    words = own_rows(tmp_path, "film")
    sweep = name_sweep([f"{LR}=1e-4,1e-3", "sweep.name=mine", *words])
    former = dataclasses.replace(sweep.spec, drawing=1)
    SweepStudy(tmp_path / "sweep", sweep.config.sweep, former)
    with pytest.raises(ConfigError, match=r"trainer\.batch_size was not given and is 8"):
        begin(tmp_path / "sweep", *words, "trainer.batch_size=8")
    for said in (1, 0):
        assert begin(tmp_path / "sweep", *words)
        assert capsys.readouterr().out.count("was begun without a fingerprint of its settings and data") == said
    assert SweepStudy(tmp_path / "sweep", sweep.config.sweep).spec.drawing == 1
    own_rows(tmp_path, "book")
    with pytest.raises(ConfigError, match="the fingerprint of the data was"):
        begin(tmp_path / "sweep", *words)


def test_a_setting_that_a_study_does_not_know_counts_as_what_its_words_mean_now():
    spec = dataclasses.replace(name_sweep([f"{LR}=1e-4,1e-3"]).spec, settings={"trainer.batch_size": "8"})
    younger = dataclasses.replace(spec, settings={"trainer.batch_size": "8", "trainer.of_tomorrow": "1"})
    younger.require_same(spec)
    spec.require_same(younger)
    with pytest.raises(ConfigError, match=r"trainer\.of_tomorrow was 1 and is 2"):
        dataclasses.replace(spec, settings={"trainer.of_tomorrow": "2"}).require_same(younger)
