"""Every setting there is, as the schema tells it: what ``--help GROUP``, docs/settings.md and messages are made from.

The words of a command line are looked up here before Hydra composes them. Hydra's own messages differ between its
versions, suggest ``+`` for every typo and let ``+anything=1`` pass.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from omegaconf import MISSING
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bertexp.config.checks import About, Settings, about
from bertexp.config.doors import LAUNCHERS, check_hydra_word
from bertexp.config.schema import Config
from bertexp.config.store import group_options
from bertexp.config.words import belongs, read, write
from bertexp.errors import ConfigError, did_you_mean
from bertexp.tasks.registry import all_tasks

_TYPES = {  # the first that an annotation holds
    "dict": "a mapping like {a:b}",
    "list": "a list like [a,b]",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "text",
}
_OPTIONAL = ("sweep", "experiment", "debug")  # groups that conf/config.yaml leaves out


@dataclass(frozen=True)
class Listed:
    """One setting.

    Attributes:
        type: in words.
        default: its value if no file or word gives another.
        tasks: those that alone have it; none if every run has it.
    """

    name: str
    type: str
    default: Any
    about: About
    tasks: tuple[str, ...] = ()

    @property
    def written_default(self) -> str:
        """The default as a word would give it; empty if there is none."""
        return "" if self.default == MISSING else read(write(self.name, self.default)).expression

    @property
    def meaning(self) -> str:
        """The whole sentence: of which task, what, in which unit, of which values."""
        says = self.about
        parts = [says.meaning, ", ".join(filter(None, (says.unit, says.range)))]
        parts += [f"one of {', '.join(map(str, says.choices))}"] if says.choices else []
        prefix = f"of task={' and '.join(self.tasks)}: " if self.tasks else ""
        return prefix + "; ".join(filter(None, parts))


def groups() -> dict[str, type[Settings]]:
    """The groups of settings in the schema's order; that of a task has what all tasks have."""
    return {field.name: cast(Any, field.default_factory) for field in dataclasses.fields(Config)}


def all_settings() -> dict[str, Listed]:
    """Every setting by its dotted name, those of single tasks too."""
    shared = {name: row for settings in groups().values() for name, row in _list(settings).items()}
    own: dict[str, Listed] = {}
    for task in all_tasks():
        for name, row in _list(task.settings).items():
            owners = own[name].tasks if name in own else ()
            own[name] = dataclasses.replace(row, tasks=(*owners, task.name))
    return own | shared


def check_overrides(overrides: Sequence[str]) -> None:
    """Raises ``ConfigError`` for a word that is no setting, group or option, takes one away, or is a door to code."""
    groups, settings = group_options() | {"hydra/launcher": LAUNCHERS}, all_settings()
    for word in map(read, overrides):
        key = word.key
        if key in groups:
            for option in word.listed:
                if option not in (options := groups[key]):
                    hint = f"{did_you_mean(option, options)}; there are {', '.join(options) or 'none'}"
                    raise ConfigError(f"{key}={option} does not exist{hint}")
            if isinstance(word.value, list):
                raise ConfigError(f"{word.text} names several options of {key}, which takes one; give one of them")
        elif belongs(key, ["hydra"]):
            check_hydra_word(word)
        elif key not in settings:
            raise ConfigError(f"{_unknown(key, groups)}; `python -m bertexp --cfg job` shows them all")
        deletes = word.override.is_delete()
        chooses_none = key in groups and word.value is None and not (deletes or word.is_sweep)
        if chooses_none or (deletes and key not in _OPTIONAL):
            raise ConfigError(f"{word.text} takes {key} away, and nothing takes its place; leave the word out")


def explain(error: Exception) -> str:
    """One sentence for what Hydra or OmegaConf refused."""
    cause: BaseException = error
    # a value of a file is refused within an error of Hydra's that does not name it as its cause
    while not isinstance(cause, OmegaConfBaseException) and (inner := cause.__cause__ or cause.__context__):
        cause = inner
    key = getattr(cause, "full_key", None)
    first_line = str(cause).strip().splitlines()[0]
    setting = all_settings().get(key or "")
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and key:
        if setting is None:
            return f"{_unknown(key, ())}; a config file gives it"
        if setting.tasks:
            return f"{key} is a setting of task={' or '.join(setting.tasks)} and of no other task; leave it out"
    if setting:
        value = re.search(r"[Vv]alue '(.*?)'", first_line)
        shown = f"{key}={value[1]}" if value else key
        return f"{shown} is not {setting.type}"
    return first_line


def _list(settings: type[Settings]) -> dict[str, Listed]:
    listed = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]  # every group is a dataclass
        kind = next(words for word, words in _TYPES.items() if word in str(field.type))
        name, made = f"{settings.group}.{field.name}", field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        listed[name] = Listed(name, kind, default, about(field))
    return listed


def _unknown(key: str, groups: Iterable[str]) -> str:
    settings = all_settings()
    last = [name.split(".")[-1] for name in settings]
    hint = did_you_mean(key, [*groups, *settings]) or did_you_mean(key.rsplit(".", 1)[-1], last)
    return f"{key} is not a setting{hint}"
