"""Where each dataset lies: given by path, cached, or at an address. Answers in milliseconds; reading comes later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.own import locate_conll, locate_files, locate_reviews, locate_samples, locate_tfrecord
from bertexp.data.find.source import DatasetSource
from bertexp.data.sets.glue.locate import locate_glue
from bertexp.data.sets.glue.tasks import GLUE
from bertexp.data.sets.published import locate_banking77, locate_imdb, locate_wnut17
from bertexp.data.sets.squad import SQUAD_VERSIONS, locate_squad
from bertexp.errors import DataError, did_you_mean

__all__ = ["DatasetSource", "locate_dataset"]

_LOCATE: dict[str, Callable[[DatasetConfig, str, Path], DatasetSource]] = {
    "reviews": locate_reviews,
    "imdb": locate_imdb,
    "banking77": locate_banking77,
    **dict.fromkeys(GLUE, locate_glue),
    "wnut17": locate_wnut17,
    "conll": locate_conll,
    **dict.fromkeys(SQUAD_VERSIONS, locate_squad),
    "files": locate_files,
    "tfrecord": locate_tfrecord,
}
_TASKS = {  # the others: classification
    "files": ("classification", "multi_label", "regression", "tagging"),
    "tfrecord": ("classification", "multi_label", "regression"),
    **{name: (glue.task,) for name, glue in GLUE.items()},
    "wnut17": ("tagging",),
    "conll": ("tagging",),
    **dict.fromkeys(SQUAD_VERSIONS, ("question_answering",)),
}
_SPLIT_FILES = ("train_file", "val_file", "test_file")
_TEXT_COLUMNS, _WORD_COLUMNS = ("text_column", "text_pair_column", "label_column"), ("words_column", "tags_column")
_OWN = ("files", "conll")  # a user's own data


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
    if config.name not in _LOCATE:
        raise DataError(
            f"dataset.name={config.name} is not one of {', '.join(_LOCATE)}{did_you_mean(config.name, _LOCATE)}"
        )
    _refuse_foreign_settings(config, task)
    tasks = _TASKS.get(config.name, ("classification",))
    if task not in tasks:
        squad = "; for answers in files of your own: dataset=squad dataset.path=…" if config.name == "files" else ""
        raise DataError(f"dataset={config.name} has labels for task={' or '.join(tasks)}, not for task={task}{squad}")
    if rehearsal and config.name not in _OWN:
        return locate_samples(config, task)
    return _LOCATE[config.name](config, task, Path(cache_dir) / "datasets" / config.name)


def _refuse_foreign_settings(config: DatasetConfig, task: str) -> None:
    """Raises ``DataError`` where a setting is given that this dataset would pass over in silence."""
    if config.submission and config.name not in GLUE:
        raise DataError(
            f"dataset.submission=true makes a file for GLUE, whose tasks are {', '.join(GLUE)}; leave it out with "
            f"dataset={config.name}"
        )
    foreign = _TEXT_COLUMNS if task == "tagging" else _WORD_COLUMNS
    if task == "regression":
        foreign = (*foreign, "label_names")
    if config.name not in _OWN:
        foreign = ("label_names", *_TEXT_COLUMNS, *_WORD_COLUMNS)
    if config.name == "tfrecord":
        foreign = (*_TEXT_COLUMNS, *_WORD_COLUMNS)
    elif config.name not in (*_OWN, *SQUAD_VERSIONS):
        foreign = (*_SPLIT_FILES, *foreign)
    if config.name == "reviews":
        foreign = (*foreign, "path", "url")
    defaults = {field.name: field.default for field in dataclasses.fields(DatasetConfig)}
    unused = ", ".join(f"dataset.{key}" for key in foreign if getattr(config, key) != defaults[key])
    if unused and config.name in _OWN:
        raise DataError(f"task={task} does not use {unused}; leave it out")
    if unused:
        own = "dataset=conll" if task == "tagging" else "dataset=files"
        raise DataError(f"dataset={config.name} does not use {unused}; for data of your own: {own}")
