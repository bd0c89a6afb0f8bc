"""The settings of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, require, setting


@dataclass
class SweepConfig(Settings, group="sweep"):
    """A search over settings, with ``-m``; what is swept may also stand on the command line in Hydra's sweep syntax."""

    name: str | None = setting(None, "of folder and study; null: <model>_<dataset>_<what is swept>_<hash of the rest>")
    space: dict[str, str] = setting(dict, "what is swept: dotted name to interval, range or choice")
    trials: int | None = setting(
        None, "in all, over all starts; null: a grid's points, else 20", unit="trials", above=0
    )
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
        require(
            not (self.objective and self.objectives),
            "sweep.objective and sweep.objectives are both given; drop one of them",
        )
        require(
            not (self.objectives and len(self.objectives) > 1 and self.pruner != "none"),
            f"sweep.pruner={self.pruner} cannot judge several objectives at once; set sweep.pruner=none or one "
            "sweep.objective",
        )
