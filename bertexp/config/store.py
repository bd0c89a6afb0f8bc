"""The options of each config group: where they come from, and how Hydra comes to know them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bertexp.config.schema import Config
from bertexp.config.words import command_line, read
from bertexp.errors import ConfigError, did_you_mean
from bertexp.tasks.registry import all_tasks

PACKAGE = Path(__file__).resolve().parents[1]
TEMPLATES = {  # options that differ in a number: the file, whose name and text hold its place, and the numbers
    "model/small_bert_l{layers}.yaml": ("{layers}", (2, 4, 6, 8, 10, 12)),
}
_ADDED = "--config-dir "  # how the provider of a user's option begins


class Option(NamedTuple):
    """One option of a group: its name and the YAML text that it stands for."""

    group: str
    name: str
    text: str
    path: Path

    @property
    def sentence(self) -> str:
        """What the first comment of the file says, for ``--help``."""
        comments = (line.removeprefix("#").strip() for line in self.text.splitlines() if line.startswith("#"))
        return next((line for line in comments if line and not line.startswith("@package")), "")

    def store(self, provider: str = "bertexp ") -> None:
        """Makes the option known to Hydra, below the group or where its ``@package`` says.

        Raises:
            ConfigError: the text is no YAML.
        """
        package = re.match(r"\s*#\s*@package\s+(\S+)", self.text)
        try:
            node = OmegaConf.create(self.text)
        except (YAMLError, OmegaConfBaseException) as error:
            raise ConfigError(f"{self.path} cannot be read: {' '.join(str(error).split())}") from error
        where = "_global_" if self.group == "experiment" else package[1] if package else None
        ConfigStore.instance().store(
            group=self.group, name=self.name, node=node, package=where, provider=f"{provider}{self.path}"
        )


def shipped_folder(name: str) -> Path:
    """``conf`` or ``experiments``: beside the package in a checkout, inside it in an installed wheel."""
    beside = PACKAGE.parent / name
    return beside if (PACKAGE.parent / "pyproject.toml").exists() and beside.is_dir() else PACKAGE / name


def register(words: Iterable[str] | None = None) -> None:
    """Stores ``Config`` as the base that every YAML merges into, the tasks, the options of templates and the recipes.

    Hydra finds the options of ``conf/`` itself; its search path makes groups of sub-folders only, so the recipes of a
    top-level ``experiments/`` are stored one by one, but none if ``words`` are given and ask for none, since each takes a
    millisecond. A process that composes many runs stores each once.
    """
    recipes = words is None or any("experiment" in word for word in words)
    repo = ConfigStore.instance().repo
    if "base_config.yaml" not in repo:
        ConfigStore.instance().store(name="base_config", node=Config)
    for task in all_tasks():
        if f"{task.name}.yaml" not in repo.get("task", {}):
            ConfigStore.instance().store(group="task", name=task.name, node=task.settings)
    for option in [*(_recipes() if recipes else ()), *_from_templates()]:
        if f"{option.name}.yaml" not in repo.get(option.group, {}):
            option.store()


def register_folder(folder: Path) -> None:
    """Adds the options ``<group>/<name>.yaml`` of a user's folder, for ``--config-dir``.

    Raises:
        ConfigError: there is no such folder, or a file's group is unknown, its name taken, or its text no YAML.
    """
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {folder} is no folder; name one that holds <group>/<name>.yaml")
    for path in sorted(folder.glob("*/*.yaml")):
        groups = group_options()
        group, name = path.parent.name, path.stem
        if group not in groups:
            raise ConfigError(
                f"{path}: {group} is not a group{did_you_mean(group, groups)}; there are {', '.join(groups)}"
            )
        if name in groups[group]:
            raise ConfigError(f"{path}: {group}={name} is there already; give the file another name")
        Option(group, name, path.read_text(encoding="utf-8"), path.resolve()).store(_ADDED)


def group_options() -> dict[str, dict[str, str]]:
    """Options of each config group with the sentence that explains them."""
    groups: dict[str, dict[str, str]] = {}
    for folder in sorted(path for path in shipped_folder("conf").iterdir() if path.is_dir()):
        groups[folder.name] = {}
        for path in sorted(folder.glob("*.yaml")):
            option = Option(folder.name, path.stem, path.read_text(encoding="utf-8"), path)
            groups[option.group][option.name] = option.sentence
    groups |= {"task": {task.name: task.help for task in all_tasks()}, "experiment": {}}
    for option in [*_recipes(), *_from_templates(), *_added(groups)]:
        groups[option.group][option.name] = option.sentence
    return groups


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


def run_line(*words: str) -> str:
    """A line to paste that makes a run or a sweep of ``words``, whose options may lie in a folder of ``register_folder``."""
    folders = dict.fromkeys(str(option.path.parents[1]) for option in _added(group_options()))
    return command_line(*(word for folder in folders for word in ("--config-dir", folder)), *words)


def _added(groups: Iterable[str]) -> Iterator[Option]:
    """The options of ``register_folder``, from Hydra's store, which a launcher hands on to the processes of its jobs."""
    for group in groups:
        for file, node in ConfigStore.instance().repo.get(group, {}).items():
            if node.provider and node.provider.startswith(_ADDED):
                path = Path(node.provider.removeprefix(_ADDED))
                text = path.read_text(encoding="utf-8") if path.is_file() else ""  # moved away since
                yield Option(group, file.removesuffix(".yaml"), text, path)


@functools.cache
def _recipes() -> tuple[Option, ...]:
    paths = sorted(shipped_folder("experiments").glob("*.yaml"))
    return tuple(Option("experiment", path.stem, path.read_text(encoding="utf-8"), path) for path in paths)


@functools.cache
def _from_templates() -> tuple[Option, ...]:
    return tuple(_fill_templates())


def _fill_templates() -> Iterator[Option]:
    for name, (place, numbers) in TEMPLATES.items():
        path = PACKAGE / "config/templates" / name
        text = path.read_text(encoding="utf-8")
        for number in numbers:
            filled = path.stem.replace(place, str(number))
            yield Option(path.parent.name, filled, text.replace(place, str(number)), path)
