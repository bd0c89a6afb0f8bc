"""No text in a word, a config file or a run folder names code to run."""

from __future__ import annotations

import json
import sys

import pytest
from hydra.core.config_store import ConfigStore

import bertexp.__main__ as door
from bertexp.config import store
from bertexp.config.resolve import compose_config
from bertexp.errors import ConfigError
from bertexp.runs.runner import run


@pytest.mark.parametrize(
    "word",
    [
        "+hydra.callbacks.x._target_=os.system",
        "hydra.callbacks={x:{_target_:os.system}}",
        "hydra.job_logging.root=null",
        "++hydra.job_logging.handlers.x.class=os.system",
        "hydra/job_logging=default",
        "hydra.searchpath=[pkg://somewhere]",
        "hydra/callbacks=x",
        "hydra/sweeper=basic",
        "hydra/launcher=other",
        "hydra/launcher=joblib,other",
        "hydra.launcher._target_=os.system",
        "+hydra.launcher.n_jobs={_target_:os.system}",
        "+hydra.launcher.setup=[reboot]",
        "+hydra.launcher.srun_args=[--prolog=reboot]",
        "+hydra.launcher.additional_parameters={wrap:reboot}",
        "+hydra.launcher.python=reboot",
        "+hydra.launcher.comment='a\nreboot'",
        "hydra.job.env_set.PYTHONPATH=/tmp",
        "hydra.mode=MULTIRUN",
        "~hydra.sweeper",
        "+optimizer._target_=os.system",
        "+_target_=os.system",
    ],
)
def test_a_word_that_names_code_is_refused(word):
    with pytest.raises(ConfigError):
        compose_config([word])


def test_what_a_sweep_needs_of_hydra_passes():
    words = [
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "hydra.run.dir=x",
        "hydra.sweep.dir=y",
        "hydra.verbose=true",
    ]
    assert compose_config(words)[1] == "x"


EVIL = {
    "callbacks": "hydra:\n  callbacks:\n    x:\n      _target_: os.system\n",
    "job_logging": "hydra:\n  job_logging:\n    handlers:\n      x:\n        (): os.system\n",
    "hydra_logging": "hydra:\n  hydra_logging:\n    root:\n      handlers: [x]\n",
    "launcher": "hydra:\n  launcher:\n    _target_: hydra_plugins.x.Launcher\n",
    "sweeper": "hydra:\n  sweeper:\n    _target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper\n",
    "job.env_set": "hydra:\n  job:\n    env_set:\n      PYTHONPATH: /tmp\n",
}


@pytest.fixture(autouse=True)
def forgotten():
    """The options that a test adds to Hydra's store are gone after it."""
    yield
    repo = ConfigStore.instance().repo
    for option in list(store._added(store.group_options())):
        del repo[option.group][f"{option.name}.yaml"]


@pytest.fixture
def evil(tmp_path):
    """A folder for --config-dir whose recipes, one for each door, name code."""
    (tmp_path / "experiment").mkdir()
    for name, text in EVIL.items():
        (tmp_path / "experiment" / f"evil_{name}.yaml").write_text(f"# @package _global_\n{text}")
    return tmp_path


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("flags", [[], ["-m", "optimizer.learning_rate=1e-4,1e-5"]])
def test_a_recipe_that_names_code_is_refused_before_hydra_acts_on_it(evil, monkeypatch, capsys, name, flags):
    monkeypatch.setattr(door, "work_on_sweep", lambda: pytest.fail("Hydra has read it"))
    monkeypatch.setattr(sys, "argv", ["bertexp", "--config-dir", str(evil), f"experiment=evil_{name}", *flags])
    with pytest.raises(SystemExit, match="2"):
        door.main()
    assert f"hydra.{name}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dataset:\n  max_length: abc", "dataset.max_length=abc is not a whole number"),
        (
            "dataset:\n  max_lenght: 3",
            "dataset.max_lenght is not a setting; did you mean 'dataset.max_length'?; a config file",
        ),
        ("optimizer:\n  _target_: os.system", "optimizer._target_ is not a setting"),
        ("defaults:\n  - override /model: nope", "nope"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence(tmp_path, text, told):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "wrong.yaml").write_text(f"# @package _global_\n{text}\n")
    store.register_folder(tmp_path)
    with pytest.raises(ConfigError) as caught:
        compose_config(["experiment=wrong"])
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_folder_that_names_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs/runs/r").mkdir(parents=True)
    stored = {"state": "failed", "overrides": ["model=tiny", "+optimizer._target_=os.system"]}
    (tmp_path / "outputs/runs/r/run.json").write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="_target_ is not a setting"):
        run(["trainer.resume=last", "run.dry=true"])


def test_a_folder_of_ones_own_options_is_checked_and_joined(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "slow.yaml").write_text("# One tenth of the usual rate.\nlearning_rate: 1e-4\n")
    store.register_folder(tmp_path)
    assert store.group_options()["optimizer"]["slow"] == "One tenth of the usual rate."
    assert compose_config(["optimizer=slow"])[0].optimizer.learning_rate == 1e-4
    with pytest.raises(ConfigError, match="optimizer=slow is there already"):
        store.register_folder(tmp_path)
    (tmp_path / "optimizer" / "slow.yaml").rename(tmp_path / "optimizer" / "broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="cannot be read"):
        store.register_folder(tmp_path)
    (tmp_path / "optimiser").mkdir()
    (tmp_path / "optimizer" / "broken.yaml").rename(tmp_path / "optimiser" / "x.yaml")
    with pytest.raises(ConfigError, match="optimiser is not a group; did you mean 'optimizer'"):
        store.register_folder(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        store.register_folder(tmp_path / "nowhere")


def test_an_option_of_ones_own_says_whose_settings_it_changes(tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "careful.yaml").write_text("name: multi_label\nthreshold: 0.9\n")
    with pytest.raises(
        ConfigError, match=r"careful\.yaml does not say which task.* begin it with defaults: \[multi_label\]"
    ):
        store.register_folder(tmp_path)
    (tmp_path / "task" / "careful.yaml").write_text("defaults: [multi_label]\nthreshold: 0.9\n")
    store.register_folder(tmp_path)
    task = compose_config(["task=careful"])[0].task
    assert (task.name, task.threshold) == ("multi_label", 0.9)
