"""Hydra's door to bertexp's sweeps: ``-m``. Imported at every start, so all work lies in ``bertexp.sweeps``."""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

# a dict, for Hydra runs this file before it lies in sys.modules, where a dataclass looks for its own
NODE = {"_target_": "hydra_plugins.bertexp.sweeper.BertexpSweeper"}
ConfigStore.instance().store(group="hydra/sweeper", name="bertexp", node=NODE, provider="bertexp")


class BertexpSweeper(Sweeper):
    """Gives Hydra's launcher one job per worker; each worker pulls trials from the sweep's study."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Names the sweep, since folders of the launcher's follow from it, and makes the launcher."""
        from hydra.core.plugins import Plugins

        from bertexp.sweeps.start import name_sweep

        self._sweep = name_sweep(list(config.hydra.overrides.task))
        with read_write(config), open_dict(config):
            config.sweep.name = self._sweep.spec.name
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Checks the sweep, begins or continues its study and runs workers; raises the first worker's error."""
        from bertexp.sweeps.start import begin_sweep, count_workers

        workers = count_workers(self._sweep.config.sweep, self._config.hydra.launcher)
        if not begin_sweep(self._sweep, self._config.hydra.sweep.dir, workers):
            return None
        jobs = self._launcher.launch([self._sweep.job_words] * workers, initial_job_idx=0)
        for job in jobs:
            if isinstance(job.return_value, BaseException):
                raise job.return_value
        return jobs
