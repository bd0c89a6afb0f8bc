"""Checks the words of a command line before Hydra composes them, and says what is wrong in one sentence.

Hydra's own messages differ between its versions, suggest ``+`` for every typo and let ``+anything=1`` pass; here each
name is looked up in the schema and in the config groups.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import get_type_hints

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bertexp.config.doors import check_hydra_word
from bertexp.config.schema import Config
from bertexp.config.store import group_options
from bertexp.config.words import belongs, read
from bertexp.errors import ConfigError, did_you_mean
from bertexp.tasks.registry import all_tasks

_IN_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "text",
    "list": "a list like [a,b]",
    "dict": "a mapping like {a:b}",
}


def setting_types() -> dict[str, str]:
    """Every setting's dotted name with its type in words."""
    types = {}
    sections = [(field.name, get_type_hints(Config)[field.name]) for field in dataclasses.fields(Config)]
    for section, settings in [*sections, *(("task", task.settings) for task in all_tasks())]:
        for name, hint in get_type_hints(settings).items():
            kind = next(word for word in ("dict", "float", "int", "bool", "list", "str") if word in str(hint))
            types[f"{section}.{name}"] = _IN_WORDS[kind]
    return types


def tasks_with(setting: str | None) -> list[str]:
    """The tasks that have ``setting``, such as ``task.threshold``."""
    section, _, name = (setting or "").partition(".")
    return [task.name for task in all_tasks() if section == "task" and name in get_type_hints(task.settings)]


def check_overrides(overrides: Sequence[str]) -> None:
    """Raises ``ConfigError`` for a word that is no setting, no group, no option of its group, or a door to code."""
    groups, settings = group_options(), setting_types()
    for word in map(read, overrides):
        key = word.key
        if belongs(key, ["hydra"]):
            check_hydra_word(word)
        elif key in groups:
            _check_options(key, word.listed, groups[key])
        elif key not in settings:
            known = [*groups, *settings]
            hint = did_you_mean(key, known) or did_you_mean(
                key.rsplit(".", 1)[-1], [s.split(".")[-1] for s in settings]
            )
            raise ConfigError(f"{key} is not a setting{hint}; `python -m bertexp --cfg job` shows them all")


def explain(error: Exception) -> str:
    """One sentence for what Hydra or OmegaConf refused."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__
    key = getattr(cause, "full_key", None)
    first_line = str(cause).strip().splitlines()[0]
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and (owners := tasks_with(key)):
        return f"{key} is a setting of task={' or '.join(owners)} and of no other task; leave it out"
    if key in (types := setting_types()):
        value = re.search(r"[Vv]alue '(.*?)'", first_line)
        shown = f"{key}={value[1]}" if value else key
        return f"{shown} is not {types[key]}"
    return first_line


def _check_options(group: str, wanted: Sequence[str], options: dict[str, str]) -> None:
    for option in wanted:
        if option not in options:
            raise ConfigError(
                f"{group}={option} does not exist{did_you_mean(option, options)}; there are {', '.join(options) or 'none'}"
            )
