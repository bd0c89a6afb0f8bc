"""What a sweep is: the part of its command that must not change while its study goes on. Light."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertexp.config.resolve import compose_config, flat_parameters
from bertexp.config.schema import Config, SweepConfig
from bertexp.config.store import group_options
from bertexp.config.words import Value, Word, belongs, only, read, split_overrides, value_of, without
from bertexp.errors import ConfigError, did_you_mean
from bertexp.runs.plan import Plan, make_plan
from bertexp.sweeps.space import Dimension, Point, Space, as_override, make_space
from bertexp.system.console import say
from bertexp.system.credentials import hide, put_back
from bertexp.tasks.spec import TaskSpec

LATENCY = "predict/latency_ms"
DEFAULT_TRIALS = 20
DIRECTIONS = {"min": "minimize", "max": "maximize"}
UNTRIED_FIRST = 2  # of SweepSpec.drawing: hashed seeds, and what is listed is gone through once before any repeats
_SWEEPS = ("sweep", "hydra", "trainer.resume", "run.dry")  # of the sweep, not of its trials
_LOCAL = ("tracking", "run.outputs_dir", "export")  # of a trial, but free to differ between starts
NOT_OF_TRIALS = (*_SWEEPS, *_LOCAL)  # settings that are no part of what a trial finds


@dataclass(frozen=True)
class SweepSpec:
    """What every worker of a sweep must agree on; kept in the study, compared at each start.

    ``overrides`` are the words that all trials share, ``expressions`` the swept settings in Hydra's syntax. A study is
    read by many: secrets are hidden in it, and a worker puts back those of its own command line.
    """

    name: str
    overrides: tuple[str, ...]
    expressions: dict[str, str]
    objectives: tuple[str, ...]
    directions: tuple[str, ...]  # maximize | minimize
    seeds: int
    base_seed: int
    first: tuple[Point, ...]  # points tried before the sampler is asked
    pruned: bool
    reports: int
    drawing: int = 1  # by which rules points are drawn; a study keeps those that it began with, 1 if it does not say
    settings: dict[str, str] | None = None  # that all trials share, resolved, as words say them; None: not known
    data: tuple[str, ...] = ()  # fingerprints of what the trials read

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", hide(self.overrides))

    @functools.cached_property
    def space(self) -> Space:
        """The dimensions; parsed once, since every trial and every row of the table asks for them."""
        return make_space(self.expressions, group_options())

    @property
    def maximizes(self) -> bool:
        """Whether more of the first objective is better."""
        return self.directions[0] == "maximize"

    def trial_overrides(self, point: Point, local: Sequence[str] = ()) -> list[str]:
        """The command line of the trial at ``point``; ``local`` words say where this worker writes."""
        return [*self.overrides, *local, *(as_override(name, value) for name, value in point.items())]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SweepSpec:
        """Reads what ``dataclasses.asdict`` wrote, whose tuples come back from a study as lists."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
        return cls(**fields)

    def require_same(self, former: SweepSpec) -> None:
        """Raises ``ConfigError`` with the differences where this start asks for another sweep than the study holds."""
        resolved = bool(self.settings and former.settings) and self.space.describe() == former.space.describe()
        then, now = former._identity(resolved), self._identity(resolved)
        if resolved:  # a setting that the study does not know counts as what its words mean now
            then = {key: then.get(key, value) for key, value in now.items()}
        differences = [
            f"{key} was {then.get(key, 'not given')} and is {now.get(key, 'not given')}"
            for key in then | now
            if then.get(key) != now.get(key)
        ]
        if differences:
            raise ConfigError(
                f"the sweep {self.name} was started with other settings or data: {'; '.join(differences)}. Take them back to "
                f"go on with it, or start another one with sweep.name=<new name>"
            )

    def continuing(self, former: SweepSpec) -> SweepSpec:
        """``former``, the sweep that a study holds, as it goes on; one without a fingerprint takes the present one.

        Raises:
            ConfigError: this is another one.
        """
        self.require_same(former)
        if former.settings or not self.settings:
            return former
        say(
            f"the sweep {self.name} was begun without a fingerprint of its settings and data, and takes the present one: "
            f"whether they have changed since then is not known"
        )
        return dataclasses.replace(former, settings=self.settings, data=self.data)

    def _identity(self, resolved: bool) -> dict[str, Any]:
        space = {f"the space of {name}": text for name, text in self.space.describe().items()}
        fixed: dict[str, Any] = {word.key: word.expression for word in map(read, self.overrides)}
        if resolved:
            fixed = {**(self.settings or {}), "the fingerprint of the data": ", ".join(self.data)}
        return {
            **space,
            **fixed,
            "sweep.objectives": list(self.objectives),
            "sweep.directions": list(self.directions),
            "sweep.seeds": self.seeds,
            "sweep.start_from": [" ".join(f"{k}={v}" for k, v in point.items()) for point in self.first],
        }


def make_spec(words: Sequence[str], config: Config) -> SweepSpec:
    """Reads a sweep off a command line and the config that its fixed words compose; checks all that can be checked.

    Raises:
        BertexpError: nothing is swept, a value of the space is not allowed, or an objective cannot be measured.
    """
    sweep = config.sweep
    fixed, swept = split_overrides(words)
    rules = [name for name in swept if belongs(name, NOT_OF_TRIALS) or (name == "run.seed" and sweep.seeds > 1)]
    if rules:
        raise ConfigError(f"{rules[0]} cannot be swept over; give it one value")
    given = {read(word).key for word in fixed}
    expressions = {name: text for name, text in sweep.space.items() if name not in given} | swept
    if not expressions:
        raise ConfigError(
            "-m sweeps over settings and none is swept; add sweep=lr_warmup, or values such as "
            "optimizer.learning_rate=3e-5,1e-4"
        )
    space = make_space(expressions, group_options())
    overrides = tuple(without(fixed, *NOT_OF_TRIALS))
    monitor = config.trainer.monitor or f"val/{config.task.main_metric}"
    objectives = tuple(sweep.objectives or [sweep.objective or monitor])
    _check_objectives(objectives, config.task.spec)
    directions = _directions(objectives, config)
    return SweepSpec(
        name=sweep.name or _make_name(config, overrides, expressions, words),
        overrides=(*overrides, *_monitor(objectives[0], directions[0], config)),
        expressions=expressions,
        objectives=objectives,
        directions=directions,
        seeds=sweep.seeds,
        base_seed=config.run.seed,
        first=_first_points(sweep, space, config),
        pruned=sweep.pruner != "none",
        reports=sweep.reports,
        drawing=UNTRIED_FIRST,
    )


def local_overrides(words: Sequence[str]) -> list[str]:
    """The words that say where a worker writes and what it ships, their secrets hidden."""
    return hide(only(split_overrides(words)[0], *_LOCAL))


def check_space(spec: SweepSpec, typed: Sequence[str] = ()) -> list[tuple[Config, Plan]]:
    """Composes trials that hold every choice and every bound once and makes their plans.

    Args:
        typed: words that hold the secrets which ``spec`` hides.

    Raises:
        BertexpError: the first mistake that a trial would have met.
    """
    plans: dict[str, Plan] = {}
    probes = []
    for point in [*spec.space.probes(), *spec.first]:
        words = put_back(spec.trial_overrides(point), typed)
        config, _ = compose_config(words)
        key = repr((config.dataset, config.model, config.trainer.accelerator))
        if key not in plans:
            plans[key] = make_plan(config, words)
        probes.append((config, plans[key]))
    return probes


def count_trials(sweep: SweepConfig, space: Space) -> int:
    """How many trials the study shall have in all."""
    points = space.size if choose_sampler(sweep, space) == "grid" else None
    wanted = sweep.trials or points or DEFAULT_TRIALS
    return min(wanted, points or wanted)


def choose_sampler(sweep: SweepConfig, space: Space) -> str:
    """The sampler's name; a grid where every value is listed and no number of trials is given.

    Raises:
        ConfigError: a grid over a continuous dimension.
    """
    if sweep.sampler is None:
        return "grid" if space.size is not None and sweep.trials is None else "tpe"
    if sweep.sampler == "grid" and space.size is None:
        name = next(dimension.name for dimension in space.dimensions if not dimension.discrete)
        raise ConfigError(
            f"sweep.sampler=grid needs values that can be listed, and {name} is an interval; give range(start, stop, step) "
            f"or choice(a, b), or take sweep.sampler=tpe"
        )
    return sweep.sampler


def _check_objectives(objectives: Sequence[str], task: TaskSpec) -> None:
    known = [f"val/{name}" for name in task.metrics] + [LATENCY]
    for name in objectives:
        if name.startswith("test/"):
            raise ConfigError(
                f"sweep.objective={name} would choose by the test split; take {name.replace('test/', 'val/')}"
            )
        if name not in known:
            raise ConfigError(
                f"sweep.objective={name} is not measured; there are {', '.join(known)}{did_you_mean(name, known)}"
            )
    if len(set(objectives)) < len(objectives):
        raise ConfigError(f"sweep.objectives={list(objectives)} names one twice")


def _directions(objectives: Sequence[str], config: Config) -> tuple[str, ...]:
    sweep = config.sweep
    if len(objectives) > 1:
        if sweep.direction is not None:
            raise ConfigError("sweep.direction is for one objective; of several, each has the direction its name says")
        return tuple(_direction_of(name, config) for name in objectives)
    own = DIRECTIONS.get(config.trainer.monitor_mode or "") if objectives[0] == config.trainer.monitor else None
    return (sweep.direction or own or _direction_of(objectives[0], config),)


def _monitor(objective: str, direction: str, config: Config) -> list[str]:
    """Words that make the checkpoint be chosen by the objective, where the trainer would choose by something else."""
    trainer = config.trainer
    if objective == LATENCY:
        return []
    words = []
    if objective != (trainer.monitor or f"val/{config.task.main_metric}"):
        words.append(f"trainer.monitor={objective}")
    usual = _direction_of(objective, config) if trainer.monitor_mode is None else DIRECTIONS[trainer.monitor_mode]
    if direction != usual:
        words.append(f"trainer.monitor_mode={'max' if direction == 'maximize' else 'min'}")
    return words


def _direction_of(metric: str, config: Config) -> str:
    return DIRECTIONS["min" if metric == LATENCY else config.task.spec.better(metric)]


def _first_points(sweep: SweepConfig, space: Space, config: Config) -> tuple[Point, ...]:
    """``recipe`` takes the values that the config has without the sweep; one that the space does not hold is left out."""
    own = flat_parameters(config) | {group: getattr(config, group).name for group in ("model", "dataset", "optimizer")}
    own |= {"trainable": config.trainable.encoder}
    points: list[Point] = []
    for words in sweep.start_from:
        if words == "recipe":
            given: dict[str, Any] = {name: own.get(name) for name in space.names}
            if not all(d.holds(given[d.name]) for d in space.dimensions):
                continue
        else:
            fixed, _ = split_overrides(words.split())
            read_words = {word.key: word for word in map(read, fixed)}
            given = {d.name: _value_in(d, read_words.pop(d.name, None), words) for d in space.dimensions}
            if read_words:
                raise ConfigError(f"sweep.start_from={words!r} sets {next(iter(read_words))}, which is not swept over")
        points.append(given)
    return tuple(points)


def _value_in(dimension: Dimension, word: Word | None, words: str) -> Value:
    given = (word.expression, word.value) if word else ()
    fitting = [choice for choice in dimension.choices if choice in given]
    if not dimension.choices:
        fitting = [type(dimension.bounds[0])(value) for value in given if dimension.holds(value)]
    if not fitting:
        raise ConfigError(
            f"sweep.start_from={words!r} must give {dimension.name} a value of its space ({dimension.describe()})"
        )
    return fitting[0]


def _make_name(config: Config, overrides: Sequence[str], expressions: Mapping[str, str], words: Sequence[str]) -> str:
    """Equal commands get equal names; so do commands that differ in the space's values, which ``require_same`` refuses."""
    option = value_of(words, "sweep")
    names = "_".join(name.split(".")[-1] for name in expressions)
    digest = hashlib.sha256(repr((sorted(hide(overrides)), sorted(expressions))).encode()).hexdigest()[:6]
    base = [getattr(config, group).name for group in ("model", "dataset") if group not in expressions]
    return "_".join([*base, (option or names)[:40], digest])
