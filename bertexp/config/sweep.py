"""The settings of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field

from bertexp.config.checks import one_of, positive, require


@dataclass
class SweepConfig:
    """A search over settings, with ``-m``; what is swept may also stand on the command line in Hydra's sweep syntax."""

    name: str | None = None  # of folder and study; null: <model>_<dataset>_<what is swept>_<hash of the fixed settings>
    space: dict[str, str] = field(default_factory=dict)  # dotted name -> interval, range or choice
    trials: int | None = None  # in all, also over several starts; null: every point of a grid, else 20
    timeout_seconds: float | None = None  # no trial starts later than so long after this command's start
    sampler: str | None = (
        None  # tpe | random | grid | qmc | cmaes | gp; null: grid where every value is listed, else tpe
    )
    pruner: str = "none"  # none | median | successive_halving | hyperband
    reports: int = 9  # validations of a pruned trial, where trainer.validate_every_steps does not say
    objective: str | None = None  # a val/ metric; null: trainer.monitor, else the task's main metric
    objectives: list[str] | None = None  # several at once, such as [val/accuracy,predict/latency_ms]: a Pareto front
    direction: str | None = None  # maximize | minimize; null: as the metric's name says, printed at the start
    seeds: int = 1  # runs in a trial, with run.seed, run.seed + 1, …; the objective is their mean
    start_from: list[str] = field(default_factory=list)  # first trials: recipe, or "key=value key=value"
    max_failures: int = 3  # the sweep stops with the one after so many
    export: str = "best"  # best | all | none: which trials are tested, exported and verified
    storage: str | None = None  # null: a journal file in the sweep's folder; postgresql://… or mysql://… for a cluster
    workers: int | None = None  # jobs given to Hydra's launcher; null: its n_jobs where it has one, else 1
    lease_seconds: float = 60.0  # a worker on another machine that was not heard of for so long is taken for dead

    def __post_init__(self) -> None:
        samplers = ("tpe", "random", "grid", "qmc", "cmaes", "gp")
        if self.sampler is not None:
            one_of("sweep.sampler", self.sampler, samplers)
        one_of("sweep.pruner", self.pruner, ("none", "median", "successive_halving", "hyperband"))
        if self.direction is not None:
            one_of("sweep.direction", self.direction, ("maximize", "minimize"))
        one_of("sweep.export", self.export, ("best", "all", "none"))
        for key in ("trials", "timeout_seconds", "reports", "seeds", "workers", "lease_seconds"):
            positive(f"sweep.{key}", getattr(self, key))
        require(self.max_failures >= 0, f"sweep.max_failures={self.max_failures} must not be negative")
        require(
            not (self.objective and self.objectives),
            "sweep.objective and sweep.objectives are both given; drop one of them",
        )
        require(
            not (self.objectives and len(self.objectives) > 1 and self.pruner != "none"),
            f"sweep.pruner={self.pruner} cannot judge several objectives at once; set sweep.pruner=none or one "
            "sweep.objective",
        )
