"""A sampler over another one: listed values are gone through once before any comes again."""

from __future__ import annotations

import itertools
import random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from bertexp.sweeps.space import Point, Space

DRAWS = 5  # that the other sampler has for a point that was not tried, before chance decides


class UntriedFirst(BaseSampler):
    """Draws as ``base`` does, but no value of a list, and no point of a space that can be listed, twice before all.

    A trial counts as tried whatever became of it. Only trials of lower numbers are looked at, so that the draw does not
    depend on when it is made.

    Args:
        space: the sweep's.
        seed: of what chance decides.
    """

    def __init__(self, base: BaseSampler, space: Space, seed: int):
        self._base, self._space = base, space
        self._chance, self._any = random.Random(seed), RandomSampler(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All dimensions: whether a point was tried shows only in the whole of it."""
        return {dimension.name: dimension.distribution for dimension in self._space.dimensions}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A whole point."""
        before = study.get_trials(deepcopy=False)[: trial.number]
        names = set(self._space.names)
        tried = [each.params for each in before if each.params.keys() >= names]
        places = {self._place(point) for point in tried}
        untried = {
            d.name: [c for c in d.choices if all(c != each[d.name] for each in tried)] for d in self._space.dimensions
        }
        repeats = self._space.size is None or len(places) >= self._space.size
        for sampler in itertools.chain([self._base] * DRAWS, itertools.repeat(self._any)):
            point = self._draw(sampler, study, trial, search_space)
            point |= {
                name: self._chance.choice(left) for name, left in untried.items() if left and point[name] not in left
            }
            if repeats or self._place(point) not in places:
                break
        return point

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of a dimension that the space does not know."""
        return self._base.sample_independent(study, trial, param_name, param_distribution)

    def _draw(
        self, sampler: BaseSampler, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Point:
        """What ``sampler`` draws together, and one by one what it leaves out."""
        known = sampler.infer_relative_search_space(study, trial)
        point = sampler.sample_relative(study, trial, known)
        for name, distribution in search_space.items():
            if name not in point:
                point[name] = sampler.sample_independent(study, trial, name, distribution)
        return point

    def _place(self, point: Point) -> tuple[object, ...]:
        """The point by its values' places, where they can be listed: a step's multiples are rounded in several ways."""
        return tuple(dimension.place(point[dimension.name]) for dimension in self._space.dimensions)
