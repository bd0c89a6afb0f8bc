"""Registers the schema and the recipes with Hydra."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from bertexp.config.schema import Config
from bertexp.tasks.registry import all_tasks

PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folder(name: str) -> Path:
    """``conf`` or ``experiments``: beside the package in a checkout, inside it in an installed wheel."""
    beside = PACKAGE.parent / name
    return beside if (PACKAGE.parent / "pyproject.toml").exists() and beside.is_dir() else PACKAGE / name


def register() -> None:
    """Stores ``Config`` as the base that every YAML merges into, the tasks, and each file of ``experiments/`` as a recipe.

    Hydra's search path makes groups of sub-folders only, so a top-level ``experiments/`` is registered file by file.
    """
    store = ConfigStore.instance()
    if "base_config.yaml" not in store.repo:
        store.store(name="base_config", node=Config)
    for task in all_tasks():
        if f"{task.name}.yaml" not in store.repo.get("task", {}):
            store.store(group="task", name=task.name, node=task.settings)
    known = store.repo.get("experiment", {})
    for path in sorted(shipped_folder("experiments").glob("*.yaml")):
        if f"{path.stem}.yaml" not in known:  # a process that composes many runs registers each once
            store.store(
                group="experiment", name=path.stem, package="_global_", node=OmegaConf.load(path), provider=str(path)
            )


def group_options() -> dict[str, dict[str, str]]:
    """Options of each config group with the sentence that their first comment line, or the task itself, gives."""
    groups: dict[str, dict[str, str]] = {}
    for folder in sorted(p for p in shipped_folder("conf").iterdir() if p.is_dir() and p.name != "hydra"):
        groups[folder.name] = {p.stem: _first_comment(p) for p in sorted(folder.glob("*.yaml"))}
    groups["task"] = {task.name: task.help for task in all_tasks()}
    groups["experiment"] = {p.stem: _first_comment(p) for p in sorted(shipped_folder("experiments").glob("*.yaml"))}
    return groups


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if line.startswith("#") and text and not text.startswith("@package"):
            return text
    return ""
