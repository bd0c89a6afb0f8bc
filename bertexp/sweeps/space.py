"""The space of a sweep: dimensions that a sampler draws from. Light: optuna comes in with its trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertexp.config.words import SweptValues, Value, read_sweep

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Point = dict[str, Value]  # a value for every dimension, by its dotted name


@dataclass(frozen=True)
class Dimension(SweptValues):
    """One setting or config group, and the values it may take."""

    name: str = ""

    @property
    def discrete(self) -> bool:
        """Whether the values can be listed."""
        return bool(self.choices) or (self.step is not None and not self.log) or self.whole

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers between bounds."""
        return isinstance(self.low, int)

    @property
    def bounds(self) -> tuple[float | int, float | int]:
        """``low`` and ``high``."""
        if self.low is None or self.high is None:
            raise TypeError(f"{self.name} is a list of choices and has no bounds")
        return self.low, self.high

    def values(self) -> list[Value]:
        """Every value, in order; only of a discrete dimension."""
        if self.choices:
            return list(self.choices)
        (low, high), step = self.bounds, self.step or 1
        return [low + index * step for index in range(math.floor((high - low) / step + 1e-9) + 1)]

    def place(self, value: Any) -> Value:
        """Which of ``values`` it is, counted from 0; of a continuous dimension the value itself."""
        if self.choices:
            return self.choices.index(value)
        return round((value - self.bounds[0]) / (self.step or 1)) if self.discrete else value

    def ends(self) -> list[Value]:
        """The values that show whether all of them are allowed: every choice, or both bounds."""
        return list(self.choices or self.bounds)

    def holds(self, value: object) -> bool:
        """Whether ``value`` is one of the dimension's."""
        if self.choices:
            return value in self.choices
        low, high = self.bounds
        return isinstance(value, (int, float)) and low <= value <= high

    def describe(self) -> str:
        """The values in words, for the table shown before the start."""
        if self.choices:
            return ", ".join(str(value) for value in self.choices)
        steps = f", steps of {self.step:g}" if self.step not in (None, 1) else ""
        low, high = self.bounds
        return f"{low:g} to {high:g}{steps}{', logarithmic' if self.log else ''}"

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws a value from."""
        import optuna.distributions as distributions

        if self.choices:
            return distributions.CategoricalDistribution(self.choices)
        (low, high), step = self.bounds, None if self.log else self.step
        if self.whole:
            return distributions.IntDistribution(int(low), int(high), self.log, int(step or 1))
        return distributions.FloatDistribution(low, high, self.log, step)


@dataclass(frozen=True)
class Space:
    """The dimensions of a sweep, in the order they were given."""

    dimensions: tuple[Dimension, ...]

    @property
    def names(self) -> list[str]:
        """The dotted names."""
        return [dimension.name for dimension in self.dimensions]

    @property
    def size(self) -> int | None:
        """How many points there are; ``None`` where a dimension is continuous."""
        if not all(dimension.discrete for dimension in self.dimensions):
            return None
        return math.prod(len(dimension.values()) for dimension in self.dimensions)

    def grid(self) -> Iterator[Point]:
        """Every point, the last dimension changing fastest, as Hydra's own sweeper orders them."""
        for values in itertools.product(*(dimension.values() for dimension in self.dimensions)):
            yield dict(zip(self.names, values, strict=True))

    def probes(self) -> Iterator[Point]:
        """Few points that hold every choice and every bound once: what a check has to look at."""
        columns = [dimension.ends() for dimension in self.dimensions]
        for row in range(max(map(len, columns))):
            yield {name: column[min(row, len(column) - 1)] for name, column in zip(self.names, columns, strict=True)}

    def describe(self) -> dict[str, str]:
        """Name to values in words; two spaces are the same when this is."""
        return {dimension.name: dimension.describe() for dimension in self.dimensions}


def make_space(expressions: Mapping[str, str], options: Mapping[str, Iterable[str]]) -> Space:
    """Reads ``{name: expression}`` such as ``{"optimizer.learning_rate": "tag(log, interval(1e-5, 3e-4))"}``.

    Args:
        options: the options of each config group, for ``model=glob(small_bert_*)``.

    Raises:
        ConfigError: an expression is none of Hydra's sweeps, or its values cannot be swept over.
    """
    dimensions = []
    for name, expression in expressions.items():
        values = read_sweep(name, expression, list(options.get(name, ())))
        dimensions.append(Dimension(name=name, **vars(values)))
    return Space(tuple(dimensions))


def as_override(name: str, value: Value) -> str:
    """One word for the command line; a text value is already written in Hydra's grammar."""
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"
