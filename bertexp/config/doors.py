"""Hydra's own doors to code, shut: no text in a word, a config, a recipe, a run folder or a study names code to run.

Hydra makes objects of ``_target_`` under ``hydra.callbacks`` and of the classes of ``hydra.job_logging``, imports the
packages of ``hydra.searchpath``, and some launchers write shell lines out of their settings. Of all that, what a run or
a sweep needs is listed here and nothing else passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bertexp.config.words import Word, belongs
from bertexp.errors import IS_EMPTY, ConfigError

LAUNCHERS = {  # those that the package and its extras bring
    "basic": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "joblib": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "submitit_slurm": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
}
SWEEPER = "hydra_plugins.bertexp.sweeper.BertexpSweeper"
_SETTINGS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.verbose", "hydra.launcher")
_SHELL = ("setup", "python", "srun_args", "additional_parameters")  # of submitit: parts of the job's shell script


def check_hydra_word(word: Word) -> None:
    """Raises ``ConfigError`` for a word to Hydra itself that is not among those a run or a sweep needs."""
    if not belongs(word.key, _SETTINGS):
        raise ConfigError(
            f"{word.key} is closed, since Hydra runs code that such words name; of Hydra's own settings there are "
            f"hydra/launcher, {', '.join(_SETTINGS)}"
        )
    if word.key.startswith("hydra.launcher."):
        _check_launcher({word.key.removeprefix("hydra.launcher."): word.value})


def check_hydra_node(hydra: DictConfig) -> None:
    """The same for a composed config, whatever file its values came from; nothing of it has been run yet.

    Raises:
        ConfigError: a value names code, or a folder has no name.
    """
    composed: Any = OmegaConf.to_container(hydra, resolve=False)
    closed = [name for name in ("callbacks", "searchpath") if composed.get(name)]
    closed += [name for name in ("job_logging", "hydra_logging") if not _is_quiet(composed.get(name) or {})]
    closed += ["job.env_set"] if composed["job"].get("env_set") else []
    launcher, sweeper = composed.get("launcher") or {}, composed.get("sweeper") or {}
    closed += ["launcher"] if launcher.pop("_target_", None) not in LAUNCHERS.values() else []
    closed += ["sweeper"] if sweeper.pop("_target_", None) != SWEEPER else []
    closed += [key for key in _keys(composed) if key.startswith("_")]
    if closed:
        raise ConfigError(
            f"a config file gives hydra.{closed[0]}, which is closed, since Hydra runs code that it names; take it out"
        )
    for name in ("run", "sweep"):
        if not composed[name]["dir"]:
            raise ConfigError(f"hydra.{name}.dir {IS_EMPTY}")
    _check_launcher(launcher)


def _check_launcher(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if value and belongs(name, _SHELL):
            raise ConfigError(
                f"hydra.launcher.{name} is closed, since it would be run as code; prepare the environment before the command"
            )
        if any(part.startswith("_") for part in name.split(".")) or any(key.startswith("_") for key in _keys(value)):
            raise ConfigError(f"hydra.launcher.{name} is closed, since Hydra runs code that _target_ names")
        if isinstance(value, str) and not value.isprintable():
            raise ConfigError(
                f"hydra.launcher.{name} holds a line break, which would begin a new line of a job's script"
            )


def _is_quiet(logging: dict[str, Any]) -> bool:
    """Whether the settings of a log are those of Hydra's option ``disabled``, which name no class."""
    root = set(logging.get("root") or ())
    return set(logging) <= {"version", "root", "disable_existing_loggers"} and root <= {"level"}


def _keys(value: Any) -> Iterator[str]:
    """Every key of a nested value."""
    if isinstance(value, dict):
        yield from map(str, value)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
