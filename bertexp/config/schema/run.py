"""The settings of a run or a sweep as a whole: where it lies, who records it, what it ships, what is searched."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bertexp.config.checks import Settings, setting
from bertexp.errors import ConfigError


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


@dataclass
class TrackingConfig(Settings, group="tracking"):
    """Where parameters, metrics, figures and the model are recorded."""

    name: str = setting("mlflow", "the tracker", choices=("mlflow", "none"))
    uri: str | None = setting(None, "address of the store; null: sqlite under run.outputs_dir, as an absolute address")
    experiment: str = setting("bertexp", "the MLflow experiment that the run belongs to")
    log_model: bool = setting(True, "record the exported model too")


@dataclass
class ExportConfig(Settings, group="export"):
    """The SavedModel that a run ships."""

    enabled: bool = setting(True, "whether the run exports its model")
    tolerance: float = setting(
        1e-5, "largest difference of the reloaded model's probabilities from the trained one's", above=0
    )
    examples: list[list[str]] = setting(list, "rows of one text or two that the reloaded model answers at the end")


@dataclass
class SweepConfig(Settings, group="sweep"):
    """A search over settings, with ``-m``; what is swept may also stand on the command line in Hydra's sweep syntax."""

    name: str | None = setting(
        None, "of folder and study; null: <model>_<dataset>_<what is swept>_<hash of the rest>", names_folder=True
    )
    space: dict[str, str] = setting(dict, "what is swept: dotted name to interval, range or choice")
    trials: int | None = setting(None, "over all starts; null: a grid's points, else 20", unit="trials", above=0)
    timeout_seconds: float | None = setting(None, "no trial starts so long after the command", unit="seconds", above=0)
    sampler: str | None = setting(
        None,
        "who draws the points; null: grid if every value is listed, else tpe",
        choices=("tpe", "random", "grid", "qmc", "cmaes", "gp"),
    )
    pruner: str = setting("none", "what ends bad trials", choices=("none", "median", "successive_halving", "hyperband"))
    reports: int = setting(9, "of a trial, unless trainer.validate_every_steps says", unit="validations", above=0)
    objective: str | None = setting(None, "a val/ metric; null: trainer.monitor, else the task's main metric")
    objectives: list[str] | None = setting(None, "several, such as [val/accuracy,predict/latency_ms]: a Pareto front")
    direction: str | None = setting(None, "null: as the metric's name says, printed", choices=("maximize", "minimize"))
    seeds: int = setting(1, "of a trial, with run.seed, run.seed + 1, …; their mean counts", unit="runs", above=0)
    start_from: list[str] = setting(list, 'the first trials: recipe (the config\'s values), or "key=value key=value"')
    max_failures: int = setting(3, "the sweep stops with the one after so many", unit="trials", minimum=0)
    export: str = setting("best", "which trials are tested, exported and verified", choices=("best", "all", "none"))
    storage: str | None = setting(None, "null: a file in the sweep's folder; postgresql://… or mysql://… for a cluster")
    workers: int | None = setting(None, "of Hydra's launcher; null: its n_jobs if it has one", unit="jobs", above=0)
    lease_seconds: float = setting(60.0, "when a worker elsewhere, unheard of, counts as dead", unit="seconds", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective and self.objectives:
            raise ConfigError("sweep.objective and sweep.objectives are both given; drop one of them")
        if self.objectives and len(self.objectives) > 1 and self.pruner != "none":
            cure = "set sweep.pruner=none or one sweep.objective"
            raise ConfigError(f"sweep.pruner={self.pruner} cannot judge several objectives at once; {cure}")
