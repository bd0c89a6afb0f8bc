"""Where each dataset lies: given by path, cached, or at an address. Answers in milliseconds; reading comes later."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.source import DatasetSource, later
from bertexp.data.sets.spec import SETS, SOURCE_SETTINGS, TEXT_SETTINGS, WORD_SETTINGS
from bertexp.errors import DataError, did_you_mean
from bertexp.tasks.registry import all_tasks, find_task
from bertexp.tasks.spec import TaskSpec

__all__ = ["DatasetSource", "locate_dataset"]


def locate_dataset(
    config: DatasetConfig, cache_dir: str, task: str | None = None, rehearsal: bool = False
) -> DatasetSource:
    """Finds the dataset and checks what can be checked without reading it: paths, names, columns. No network.

    Args:
        cache_dir: downloads and prepared tables lie in its folder ``datasets``.
        task: what is learned from its labels; None: a task that its labels are for.
        rehearsal: take 64 packaged rows in its place; of a user's own files, which are at hand, their own.

    Raises:
        DataError: the name is unknown, a path or column is missing, or a setting does not belong to this dataset.
    """
    if config.name not in SETS:
        raise DataError(f"dataset.name={config.name} is not one of {', '.join(SETS)}{did_you_mean(config.name, SETS)}")
    known = SETS[config.name]
    fitting = [one.name for one in all_tasks() if one.label_form in known.labels]
    spec = find_task(task or fitting[0])
    _refuse_foreign_settings(config, spec)
    if spec.name not in fitting:
        others = [name for name, other in SETS.items() if spec.label_form in other.labels]
        own = [name for name in others if "train_file" in SETS[name].uses]
        learns = f"dataset={' or '.join(others)}" if others else "none of the data sets"
        if own:
            learns += f"; for files of your own: dataset={own[0]} dataset.path=…"
        raise DataError(
            f"dataset={config.name} has labels for task={' or '.join(fitting)}, not for task={task}, which learns from {learns}"
        )
    if rehearsal and not known.is_own:
        read = later("sets.samples.make_samples", config, spec.name)
        return DatasetSource(f"packaged rows in place of {config.name}", read)
    module = importlib.import_module(f"bertexp.data.sets.{known.module}")
    return module.locate(config, spec.name, Path(cache_dir) / "datasets" / config.name)


def _refuse_foreign_settings(config: DatasetConfig, task: TaskSpec) -> None:
    """Raises ``DataError`` for settings that this dataset, or its task, would pass over in silence."""
    known = SETS[config.name]
    defaults = {field.name: field.default for field in dataclasses.fields(DatasetConfig)}
    given = [key for key in SOURCE_SETTINGS if getattr(config, key) != defaults[key]]
    foreign = [key for key in given if key not in known.uses]
    if "submission" in foreign:
        those = ", ".join(name for name, other in SETS.items() if "submission" in other.uses)
        raise DataError(
            f"dataset.submission=true makes a file for GLUE, whose tasks are {those}; leave it out with "
            f"dataset={config.name}"
        )
    if foreign:
        unused = ", ".join(f"dataset.{key}" for key in foreign)
        own = "dataset=conll" if task.reads_words else "dataset=files"
        cure = "leave it out" if known.is_own else f"for data of your own: {own}"
        raise DataError(f"dataset={config.name} does not use {unused}; {cure}")
    others = {*(TEXT_SETTINGS if task.reads_words else WORD_SETTINGS)}
    if not task.has_classes and known.is_own:
        others |= {"label_names", "label_cleanup"}
    unused = ", ".join(f"dataset.{key}" for key in given if key in others)
    if unused:
        raise DataError(f"task={task.name} does not use {unused}; leave it out")
