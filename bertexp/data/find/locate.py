"""Where each dataset lies: given by path, cached, or at an address. Answers in milliseconds; reading comes later."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.source import DatasetSource
from bertexp.data.sets.glue.tasks import GLUE
from bertexp.data.sets.spec import SETS, SOURCE_SETTINGS
from bertexp.errors import DataError, did_you_mean

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset

__all__ = ["DatasetSource", "locate_dataset"]

_TASKS = {  # the others: classification
    "files": ("classification", "multi_label", "regression", "tagging"),
    "tfrecord": ("classification", "multi_label", "regression"),
    **{name: (glue.task,) for name, glue in GLUE.items()},
    "wnut17": ("tagging",),
    "conll": ("tagging",),
    **dict.fromkeys(("squad", "squad_v2", "xquad"), ("question_answering",)),
}
_TEXT_COLUMNS: tuple[str, ...] = ("text_column", "text_pair_column", "label_column")
_WORD_COLUMNS: tuple[str, ...] = ("words_column", "tags_column")


def locate_dataset(
    config: DatasetConfig, cache_dir: str, task: str = "classification", rehearsal: bool = False
) -> DatasetSource:
    """Finds the dataset and checks what can be checked without reading it: paths, names, columns. No network.

    Args:
        cache_dir: downloads and prepared tables lie in its folder ``datasets``.
        task: what its labels are to be; files hold labels for any task, the other datasets for one.
        rehearsal: take 64 packaged rows in its place; of a user's own files, which are at hand, their own.

    Raises:
        DataError: the name is unknown, a path or column is missing, or a setting does not belong to this dataset.
    """
    if config.name not in SETS:
        raise DataError(f"dataset.name={config.name} is not one of {', '.join(SETS)}{did_you_mean(config.name, SETS)}")
    known = SETS[config.name]
    _refuse_foreign_settings(config, task)
    tasks = _TASKS.get(config.name, ("classification",))
    if task not in tasks:
        squad = "; for answers in files of your own: dataset=squad dataset.path=…" if config.name == "files" else ""
        raise DataError(f"dataset={config.name} has labels for task={' or '.join(tasks)}, not for task={task}{squad}")
    if rehearsal and not known.is_own:
        return _locate_samples(config, task)
    module = importlib.import_module(f"bertexp.data.sets.{known.module}")
    return module.locate(config, task, Path(cache_dir) / "datasets" / config.name)


def _locate_samples(config: DatasetConfig, task: str) -> DatasetSource:
    def load() -> TextDataset:
        from bertexp.data.sets.samples import make_samples

        return make_samples(config, task)

    return DatasetSource(f"packaged rows in place of {config.name}", (), load)


def _refuse_foreign_settings(config: DatasetConfig, task: str) -> None:
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
        own = "dataset=conll" if task == "tagging" else "dataset=files"
        cure = "leave it out" if known.is_own else f"for data of your own: {own}"
        raise DataError(f"dataset={config.name} does not use {unused}; {cure}")
    others = _TEXT_COLUMNS if task == "tagging" else _WORD_COLUMNS
    if task == "regression" and known.is_own:
        others = (*others, "label_names")
    unused = ", ".join(f"dataset.{key}" for key in given if key in others)
    if unused:
        raise DataError(f"task={task} does not use {unused}; leave it out")
