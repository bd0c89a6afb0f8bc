"""A command line written as a recipe, a YAML file like those in ``experiments/``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from bertexp.config.store import group_options
from bertexp.config.words import read


def as_recipe(words: Sequence[str]) -> str:
    """Overrides of the command line as the YAML of a recipe that composes to the same config.

    ``model=tiny`` becomes an entry of its defaults, ``optimizer.learning_rate=1e-4`` a nested value. A recipe or debug
    mode among ``words`` becomes a parent whose values those of this one replace, as they do on the command line; of a
    setting given twice, the later value counts.
    """
    groups = group_options()
    parents: dict[str, str] = {}
    chosen: dict[str, str] = {}
    values: dict[str, Any] = {}
    for word in map(read, words):
        key, value = word.key, word.value
        if key in ("experiment", "debug"):
            if value is not None:
                parents[key] = f"/{key}/{value}"
        elif key in groups:
            chosen[f"override /{key}"] = value
        else:
            *path, last = key.split(".")
            place = values
            for part in path:
                place = place.setdefault(part, {})
            place[last] = value
    # Hydra reads the recipe before the debug mode, and wants overrides of groups last
    above: list[Any] = [parents[key] for key in ("experiment", "debug") if key in parents]
    defaults = [*above, *(["_self_"] if above else []), *({group: option} for group, option in chosen.items())]
    return OmegaConf.to_yaml(OmegaConf.create(({"defaults": defaults} if defaults else {}) | values))
