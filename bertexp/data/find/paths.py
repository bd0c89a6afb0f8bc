"""Finds where the splits of a user's own data lie: files, or folders of texts. Reads no more than their headers."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.columns import check_columns, column_names
from bertexp.data.formats.spec import FORMATS, Columns, format_of
from bertexp.errors import DataError, did_you_mean

_TAGGED = {  # pieces of file names that tell the split of tagged words: eng.testa and wnut17train.conll among them
    "train": r"train(?![a-z])",
    "val": r"(?<![a-z])(val|valid|validation|dev|testa)(?![a-z])",
    "test": r"(?<![a-z])testb?(?![a-z])",
}
_NO_DATA = (".md", ".py", ".zip", ".gz", ".json", ".csv", ".pdf", ".log")
_ALIASES = {"train": ("train",), "val": ("val", "valid", "validation", "dev"), "test": ("test",)}


def existing_path(setting: str, value: str) -> Path:
    """Returns ``value`` as a path, the home folder's tilde expanded.

    Raises:
        DataError: nothing lies there; names the setting.
    """
    path = Path(value).expanduser()
    if not path.exists():
        siblings = map(str, islice(path.parent.iterdir(), 500)) if path.parent.is_dir() else ()
        raise DataError(f"{setting}={value} does not exist{did_you_mean(str(path), siblings)}")
    return path


def find_splits(config: DatasetConfig) -> dict[str, tuple[Path, Columns]]:
    """Returns the path of each split that has one, and the columns to read there.

    A folder is searched for ``train``, ``val`` (or ``valid``, ``validation``, ``dev``) and ``test``, as a file of a
    known kind or as a folder of class folders; failing that it may be a folder of class folders itself, or hold one
    single data file. A test file may lack the label column.

    Raises:
        DataError: there is no training split, a file is ambiguous or a column is missing.
    """
    if config.path is None and config.train_file is None:
        raise DataError("dataset=files needs data: dataset.path=<folder or file>, or dataset.train_file=<file>")
    root = existing_path("dataset.path", config.path) if config.path is not None else Path()
    paths = {}
    for split in _ALIASES:
        if (named := named_file(config, split, root)) is not None:
            paths[split] = named
        elif config.path is not None and root.is_dir() and (found := _search(root, split)):
            paths[split] = found
    if "train" not in paths:
        paths["train"] = root if root.is_file() or _has_class_folders(root) else _only_file(root)
    return {split: (paths[split], _columns(config, split, paths[split])) for split in _ALIASES if split in paths}


def named_file(config: DatasetConfig, split: str, root: Path) -> Path | None:
    """The file or folder that ``dataset.<split>_file`` names, inside ``root`` or a path of its own; None where it is null.

    Raises:
        DataError: nothing lies there.
    """
    name = getattr(config, f"{split}_file")
    if name is None:
        return None
    inside = root / Path(name).expanduser()
    return inside if inside.exists() else existing_path(f"dataset.{split}_file", name)


def find_tagged_splits(config: DatasetConfig) -> dict[str, Path]:
    """Returns the file of tagged words of each split that has one; a folder is searched for usual names.

    Raises:
        DataError: there is no training split or a file is ambiguous.
    """
    if config.path is None and config.train_file is None:
        raise DataError(
            f"dataset={config.name} needs data: dataset.path=<folder or file>, or dataset.train_file=<file>"
        )
    root = existing_path("dataset.path", config.path) if config.path is not None else Path()
    paths = {}
    for split, name_form in _TAGGED.items():
        if (named := named_file(config, split, root)) is not None:
            paths[split] = named
        elif config.path is not None and root.is_dir():
            files = (path for path in sorted(root.iterdir()) if path.is_file() and path.suffix not in _NO_DATA)
            found = [path for path in files if re.search(name_form, path.name.lower())]
            if len(found) > 1:
                raise _ambiguous(root, split, found)
            if found:
                paths[split] = found[0]
    if "train" not in paths and root.is_file():
        paths["train"] = root
    if "train" not in paths:
        raise DataError(f"{root} holds no file such as train.txt or train.conll; name it with dataset.train_file")
    return {split: paths[split] for split in _TAGGED if split in paths}


def _ambiguous(root: Path, split: str, found: list[Path]) -> DataError:
    names = ", ".join(path.name for path in found)
    return DataError(f"{root} holds more than one {split} split ({names}); name one with dataset.{split}_file")


def _search(root: Path, split: str) -> Path | None:
    found = [
        path
        for alias in _ALIASES[split]
        for path in (root / alias, *(root / f"{alias}.{format}" for format in FORMATS))
        if path.is_file() or _has_class_folders(path)
    ]
    if len(found) > 1:
        raise _ambiguous(root, split, found)
    return found[0] if found else None


def _has_class_folders(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return any(next(path.glob("*.txt"), None) for path in folder.iterdir() if path.is_dir())


def _only_file(root: Path) -> Path:
    found = sorted(path for path in root.iterdir() if path.suffix.removeprefix(".") in FORMATS)
    if len(found) != 1:
        held = f"several data files ({', '.join(path.name for path in found[:5])})" if found else "no data file"
        wanted = ", ".join(f"train.{format}" for format in FORMATS)
        raise DataError(
            f"dataset.path={root} holds {held} and none of {wanted} or train/<class>/*.txt; name the training file "
            f"with dataset.train_file"
        )
    return found[0]


def _columns(config: DatasetConfig, split: str, path: Path) -> Columns:
    if path.is_dir():
        if config.text_pair_column is not None:
            raise DataError(f"dataset.text_pair_column needs a file with columns, and {path} is a folder of texts")
        return Columns()
    format = format_of(path)
    columns = Columns(config.text_column, config.text_pair_column, config.label_column)
    if split == "test" and columns.label not in column_names(path, format):
        columns = Columns(config.text_column, config.text_pair_column, None)
    check_columns(path, format, columns)
    return columns
