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
    top-level ``experiments/`` are stored one by one. Each takes a millisecond: if ``words`` are given and name neither a
    model nor a recipe, none of these is stored. A process that composes many runs stores each once.
    """
    store = ConfigStore.instance()
    if "base_config.yaml" not in store.repo:
        store.store(name="base_config", node=Config)
    for task in all_tasks():
        if f"{task.name}.yaml" not in store.repo.get("task", {}):
            store.store(group="task", name=task.name, node=task.settings)
    if words is None or any("experiment" in word or "model" in word for word in words):
        for option in [*_recipes(), *_small_berts()]:
            if f"{option.name}.yaml" not in store.repo.get(option.group, {}):
                option.store()


def register_folder(folder: Path) -> None:
    """Adds the options ``<group>/<name>.yaml`` of a user's folder, for ``--config-dir``, to all others.

    Raises:
        ConfigError: there is no such folder, or a file's group is unknown, its name taken, its text no YAML, or a task's
            option names no task.
    """
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {folder} is no folder; name one that holds <group>/<name>.yaml")
    register()
    groups = group_options()
    for path in sorted(folder.glob("*/*.yaml")):
        option = _read(path)._replace(path=path.resolve())
        if option.group not in groups:
            known = f"{did_you_mean(option.group, groups)}; there are {', '.join(groups)}"
            raise ConfigError(f"{path}: {option.group} is not a group{known}")
        if option.name in groups[option.group]:
            raise ConfigError(f"{path}: {option.group}={option.name} is there already; give the file another name")
        if option.group == "task" and not re.search(r"^defaults:", option.text, re.MULTILINE):
            named = re.search(r"^name: *(\w+)", option.text, re.MULTILINE)
            cure = f"defaults: [{named[1] if named else all_tasks()[0].name}]"
            raise ConfigError(f"{path} does not say which task's settings it changes; begin it with {cure}")
        option.store(_ADDED)


def group_options() -> dict[str, dict[str, str]]:
    """Options of each config group with the sentence that explains them."""
    groups: dict[str, dict[str, str]] = {}
    for option in _shipped():
        groups.setdefault(option.group, {})[option.name] = option.sentence
    groups |= {"task": {task.name: task.help for task in all_tasks()}, "experiment": {}}
    for option in [*_recipes(), *_small_berts(), *_added(groups)]:
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
    values = OmegaConf.create()
    for word in map(read, words):
        key, value = word.key, word.value
        if key in ("experiment", "debug"):
            if value is not None:
                parents[key] = f"/{key}/{value}"
        elif key in groups:
            chosen[f"override /{key}"] = value
        else:
            OmegaConf.update(values, key, value, merge=False)
    # Hydra reads the recipe before the debug mode, and wants overrides of groups last
    above: list[Any] = [parents[key] for key in ("experiment", "debug") if key in parents]
    defaults = [*above, *(["_self_"] if above else []), *({group: option} for group, option in chosen.items())]
    return OmegaConf.to_yaml(OmegaConf.merge({"defaults": defaults} if defaults else {}, values))


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


def _read(path: Path) -> Option:
    return Option(path.parent.name, path.stem, path.read_text(encoding="utf-8"), path)


@functools.cache
def _shipped() -> tuple[Option, ...]:
    return tuple(_read(path) for path in sorted(shipped_folder("conf").glob("*/*.yaml")))


@functools.cache
def _recipes() -> tuple[Option, ...]:
    paths = sorted(shipped_folder("experiments").glob("*.yaml"))
    return tuple(_read(path)._replace(group="experiment") for path in paths)


@functools.cache
def _small_berts() -> tuple[Option, ...]:
    """Options that differ in their number of layers alone, from one template."""
    template = _read(PACKAGE / "config/templates/model/small_bert_l{layers}.yaml")
    return tuple(
        template._replace(
            name=template.name.replace("{layers}", layers), text=template.text.replace("{layers}", layers)
        )
        for layers in ("2", "4", "6", "8", "10", "12")
    )
