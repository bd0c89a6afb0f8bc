"""The settings of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, require, setting


@dataclass
class SweepConfig(Settings, group="sweep"):
    """A search over settings, with ``-m``; what is swept may also stand on the command line in Hydra's sweep syntax."""

    name: str | None = setting(
        None, "of folder and study; null: <model>_<dataset>_<what is swept>_<hash of the fixed settings>"
    )
    space: dict[str, str] = setting(dict, "what is swept: dotted name to interval, range or choice")
    trials: int | None = setting(
        None, "in all, also over several starts; null: every point of a grid, else 20", unit="trials", above=0
    )
    timeout_seconds: float | None = setting(
        None, "no trial starts later than so long after this command's start", unit="seconds", above=0
    )
    sampler: str | None = setting(
        None,
        "who draws the points; null: grid if every value is listed, else tpe",
        choices=("tpe", "random", "grid", "qmc", "cmaes", "gp"),
    )
    pruner: str = setting(
        "none", "who ends bad trials early", choices=("none", "median", "successive_halving", "hyperband")
    )
    reports: int = setting(
        9, "of a trial that may be pruned, unless trainer.validate_every_steps says", unit="validations", above=0
    )
    objective: str | None = setting(None, "a val/ metric; null: trainer.monitor, else the task's main metric")
    objectives: list[str] | None = setting(
        None, "several at once, such as [val/accuracy,predict/latency_ms]: a Pareto front"
    )
    direction: str | None = setting(
        None, "null: as the metric's name says, printed at the start", choices=("maximize", "minimize")
    )
    seeds: int = setting(
        1, "in a trial, with run.seed, run.seed + 1, …; the objective is their mean", unit="runs", above=0
    )
    start_from: list[str] = setting(
        list, 'the first trials: recipe (the config\'s own values), or "key=value key=value"'
    )
    max_failures: int = setting(3, "the sweep stops with the one after so many", unit="trials", minimum=0)
    export: str = setting("best", "which trials are tested, exported and verified", choices=("best", "all", "none"))
    storage: str | None = setting(
        None, "null: a journal file in the sweep's folder; postgresql://… or mysql://… for a cluster"
    )
    workers: int | None = setting(
        None, "given to Hydra's launcher; null: its n_jobs if it has one, else 1", unit="jobs", above=0
    )
    lease_seconds: float = setting(
        60.0, "a worker on another machine, not heard of for so long, is taken for dead", unit="seconds", above=0
    )

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
