"""The settings of the run as a whole."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bertexp.config.checks import Settings, setting


@dataclass
class RunConfig(Settings, group="run"):
    """What concerns the run as a whole."""

    seed: int = setting(42, "of new layers' weights, the order of batches and dropout", minimum=0, maximum=2**31 - 1)
    name: str | None = setting(None, "shown in MLflow; null: <model>-<dataset>-s<seed>")
    dry: bool = setting(False, "print the plan, import no TensorFlow, write nothing")
    rehearsal: bool = setting(False, "a random encoder of 2 layers and 64 packaged rows stand in (debug=fast)")
    outputs_dir: str = setting("outputs", "the folder of run folders, of the default MLflow store and of the caches")

    @property
    def cache_dir(self) -> str:
        """Absolute folder of downloads and token caches."""
        return os.path.join(os.path.abspath(self.outputs_dir), "cache")
