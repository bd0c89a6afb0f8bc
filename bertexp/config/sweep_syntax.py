"""Hydra's sweep syntax, read: which words of a command line are swept, and over which values. Light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Glob, IntervalSweep, RangeSweep

from bertexp.config.words import SWEEP, read
from bertexp.errors import ConfigError

Value = str | int | float | bool  # a text is written in Hydra's grammar


@dataclass(frozen=True)
class SweptValues:
    """Either ``choices``, or the inclusive bounds ``low`` and ``high`` with an optional ``step``."""

    choices: tuple[Value, ...] = ()
    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    log: bool = False


def split_overrides(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Divides a command line into fixed overrides and swept ones (name -> expression); a later word wins."""
    fixed: dict[str, str] = {}
    swept: dict[str, str] = {}
    for word in map(read, words):
        if word.kind == SWEEP:
            swept[word.key] = word.expression
            fixed.pop(word.key, None)
        else:
            fixed[word.key] = word.text
            swept.pop(word.key, None)
    return list(fixed.values()), swept


def read_sweep(name: str, expression: str, options: Sequence[str] = ()) -> SweptValues:
    """Reads the values of ``name=expression``, such as ``tag(log, interval(1e-5, 3e-4))``.

    Args:
        options: what ``glob(…)`` chooses from, where ``name`` is a config group.

    Raises:
        ConfigError: the expression is none of Hydra's sweeps, or its values cannot be swept over.
    """
    word = read(f"{name}={expression}")
    if word.kind != SWEEP:
        raise ConfigError(
            f"the space of {name} is {expression!r}, which is one value: give interval(low, high), range(start, stop, "
            f"step), choice(a, b) or a list a,b"
        )
    sweep: Any = word.override.value()
    log = "log" in sweep.tags if hasattr(sweep, "tags") else False
    if isinstance(sweep, IntervalSweep):
        low, high = sweep.start, sweep.end
        assert low is not None
        assert high is not None
        _check_bounds(name, low, high, log)
        return SweptValues(low=low, high=high, step=1 if isinstance(low, int) and not log else None, log=log)
    if isinstance(sweep, RangeSweep) and not sweep.shuffle:
        values = list(sweep.range())
        if len(values) > 1:
            low, high = min(values), max(values)
            _check_bounds(name, low, high, log)
            whole = all(isinstance(value, int) for value in (low, high, sweep.step))
            kind = int if whole else float
            return SweptValues(low=kind(low), high=kind(high), step=None if log else kind(abs(sweep.step)), log=log)
    if isinstance(sweep, Glob):
        made: tuple[Value, ...] = tuple(sweep.filter(list(options)))
    else:
        pairs = zip(word.override.sweep_iterator(), word.override.sweep_string_iterator(), strict=True)
        made = tuple(value if isinstance(value, (bool, int, float)) else text for value, text in pairs)
    if len(set(made)) < len(made) or not made:
        what = "names a value twice" if made else "has no values"
        raise ConfigError(f"{name}={expression} {what}; list each value once")
    return SweptValues(choices=made)


def _check_bounds(name: str, low: float, high: float, log: bool) -> None:
    if low >= high:
        raise ConfigError(f"the space of {name} runs from {low:g} to {high:g}; the first bound must be the smaller one")
    if log and low <= 0:
        raise ConfigError(
            f"the space of {name} is logarithmic and begins at {low:g}; begin above 0, or leave out tag(log, …)"
        )
