"""Hydra finds the sweeper, and it is the one that ``-m`` runs."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from bertexp.config.store import register, shipped_folder


def test_hydra_discovers_the_sweeper():
    assert "BertexpSweeper" in {plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)}


def test_the_config_chooses_it():
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(shipped_folder("conf")), version_base="1.3"):
        composed = compose("config", ["sweep.name=x"], return_hydra_config=True)
        assert composed.hydra.sweeper["_target_"] == "hydra_plugins.bertexp.sweeper.BertexpSweeper"
        assert composed.hydra.sweep.dir == "outputs/sweeps/x"
