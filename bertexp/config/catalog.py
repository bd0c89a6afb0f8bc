"""Every setting there is, as the schema tells it: what messages, ``--help GROUP`` and docs/settings.md are made from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

from omegaconf import MISSING

from bertexp.config.checks import About, Settings, about
from bertexp.config.schema import Config
from bertexp.config.words import read, write
from bertexp.tasks.registry import all_tasks

_TYPES = {  # the first that an annotation holds
    "dict": "a mapping like {a:b}",
    "list": "a list like [a,b]",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "text",
}


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
    """Every setting by its dotted name, group by group."""
    listed: dict[str, Listed] = {}
    for group, settings in groups().items():
        listed |= _list(settings)
        if group == "task":
            for task in all_tasks():
                own = {name: row for name, row in _list(task.settings).items() if name not in _list(settings)}
                for name, row in own.items():
                    owners = (*(listed[name].tasks if name in listed else ()), task.name)
                    listed[name] = dataclasses.replace(row, tasks=owners)
    return listed


def _list(settings: type[Settings]) -> dict[str, Listed]:
    rows = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]  # every group is a dataclass
        kind = next(words for word, words in _TYPES.items() if word in str(field.type))
        name, made = f"{settings.group}.{field.name}", field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        rows[name] = Listed(name, kind, default, about(field))
    return rows
