"""Optuna's samplers and pruners by the names that the config gives them."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
from typing import TYPE_CHECKING

from bertexp.config.schema import SweepConfig
from bertexp.errors import EnvironmentProblem
from bertexp.sweeps.space import Point
from bertexp.sweeps.spec import UNTRIED_FIRST, SweepSpec, choose_sampler, count_trials

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

_NEEDS = {"cmaes": ("cmaes",), "gp": ("torch", "scipy")}
KEPT = {  # by a pruner, as the reason of a pruned trial ends
    "median": "; the upper half goes on",
    "successive_halving": "; the best third goes on",
    "hyperband": "; the best third of its bracket goes on",
}
ETA = 3  # of successive halving and hyperband: the best third of a rung goes on


def require_packages(sampler: str) -> None:
    """Raises ``EnvironmentProblem`` where a sampler's package is not installed."""
    missing = [name for name in _NEEDS.get(sampler, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise EnvironmentProblem(
            f"sweep.sampler={sampler} needs the package {missing[0]}: pip install {missing[0]}, or take sweep.sampler=tpe"
        )


def build_sampler(sweep: SweepConfig, spec: SweepSpec, number: int) -> BaseSampler:
    """The sampler that draws the ``number``-th point, counted from 0.

    Seeded by that number, so that a sweep that goes on, or has many workers, never draws the same numbers twice.
    """
    import optuna.samplers as samplers

    seed, given = _seed(spec, number), given_point(sweep, spec, number)
    if given is not None:
        return samplers.PartialFixedSampler(dict(given), samplers.RandomSampler(seed))
    sampler = _build_free_sampler(sweep, spec, seed)
    if spec.drawing < UNTRIED_FIRST:
        return sampler
    from bertexp.sweeps.work.untried import UntriedFirst

    return UntriedFirst(sampler, spec.space, seed)


def _seed(spec: SweepSpec, number: int) -> int:
    """Hashed: seeds that lie side by side would share nearly all points if ``number`` were added to them."""
    if spec.drawing < UNTRIED_FIRST:
        return spec.base_seed + number
    return int.from_bytes(hashlib.sha256(f"{spec.base_seed} {number}".encode()).digest()[:4], "big")


def _build_free_sampler(sweep: SweepConfig, spec: SweepSpec, seed: int) -> BaseSampler:
    import optuna.samplers as samplers

    kind = choose_sampler(sweep, spec.space)
    if kind == "qmc":  # one sequence; the study remembers how far it has come
        return samplers.QMCSampler(scramble=True, seed=spec.base_seed, warn_independent_sampling=False)
    if kind == "cmaes":
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if kind == "gp":
        return samplers.GPSampler(seed=seed)
    if kind == "random":
        return samplers.RandomSampler(seed)
    startup = max(5, count_trials(sweep, spec.space) // 4)
    return samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)


def given_point(sweep: SweepConfig, spec: SweepSpec, number: int) -> Point | None:
    """The point of trial ``number`` where no sampler is asked: a grid's, or one of ``sweep.start_from``."""
    if choose_sampler(sweep, spec.space) == "grid":
        return next(itertools.islice(spec.space.grid(), number, None))
    return spec.first[number] if number < len(spec.first) else None


def build_pruner(kind: str, reports: int) -> BasePruner:
    """A pruner over ``reports`` validations, counted from 1.

    ``median`` waits for four whole trials; ``successive_halving`` (Li et al. 2020, ASHA) and ``hyperband`` (Li et al.
    2018) keep the best third of each rung, the rungs lying at validations 1, 3, 9. Hyperband's last bracket, which would
    prune nothing before the end, is left out: it cost a tenth of the time for no lower regret (benchmarks/replay_pruners.py).
    """
    import optuna.pruners as pruners

    if kind == "median":
        return pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    if kind == "successive_halving":
        return pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA)
    if kind == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=max(reports - 1, 1), reduction_factor=ETA)
    return pruners.NopPruner()
