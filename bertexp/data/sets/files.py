"""A user's own data: files with columns, folders of texts, files of tagged words. Reads no more than their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import find_files
from bertexp.data.find.source import DatasetSource, later
from bertexp.data.formats.spec import COMPRESSED, FORMATS, Columns, check_columns, column_names, format_of
from bertexp.errors import DataError
from bertexp.tasks.registry import find_task

_ALIASES = {"train": ("train",), "val": ("val", "valid", "validation", "dev"), "test": ("test",)}
_TAGGED = {  # pieces of file names that tell the split of tagged words: eng.testa and wnut17train.conll among them
    "train": r"train(?![a-z])",
    "val": r"(?<![a-z])(val|valid|validation|dev|testa)(?![a-z])",
    "test": r"(?<![a-z])testb?(?![a-z])",
}
_NO_DATA = (".md", ".py", ".zip", ".gz", ".json", ".csv", ".pdf", ".log")
_TEXTS, _DEEP_TEXTS = "[!.]*/*.[tT][xX][tT]", "[!.]*/**/*.[tT][xX][tT]"  # a text in a class folder, or deeper
_SHOWN = 5  # names of files in a message


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``.

    A folder is searched for ``train``, ``val`` (or ``valid``, ``validation``, ``dev``) and ``test``, as a file of a
    known kind or as a folder of class folders; failing that it may be a folder of class folders itself, or hold one
    single data file. A test file may lack the label column. Tagged words are looked for by more names.
    """
    if find_task(task).reads_words:
        paths = find_files(config, _refuse, _search_tagged)
        read = later("formats.tagged.load_tagging", config, task, paths)
    else:
        paths = find_files(config, _only_data, _search)
        files = {split: (path, _columns(config, split, path)) for split, path in paths.items()}
        read = later("formats.read.load_files", config, task, files, _left_out(config, paths.values()))
    return DatasetSource(", ".join(f"{split} {path}" for split, path in paths.items()), read)


def _search_tagged(folder: Path, split: str) -> list[Path]:
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix not in _NO_DATA)
    return [path for path in files if re.search(_TAGGED[split], path.name.lower())]


def _refuse(folder: Path) -> dict[str, Path]:
    raise DataError(f"{folder} holds no file such as train.txt or train.conll; name it with dataset.train_file")


def _search(folder: Path, split: str) -> list[Path]:
    endings = [f".{format}{packed}" for format in FORMATS for packed in ("", *COMPRESSED)]
    names = [f"{alias}{ending}" for alias in _ALIASES[split] for ending in ("", *endings)]
    paths = sorted(path for path in folder.iterdir() if path.name.lower() in names)
    found = [path for path in paths if path.is_file() or _has(path, _TEXTS)]
    return found or [path for path in paths if _has(path, _DEEP_TEXTS)]


def _has(folder: Path, pattern: str) -> bool:
    return folder.is_dir() and next(folder.glob(pattern), None) is not None


def _only_data(folder: Path) -> dict[str, Path]:
    if _has(folder, _TEXTS):
        return {"train": folder}
    found = _data_files(folder)
    if not found and _has(folder, _DEEP_TEXTS):
        return {"train": folder}
    if len(found) != 1:
        held = f"several data files ({', '.join(path.name for path in found[:5])})" if found else "no data file"
        wanted = ", ".join(f"train.{format}" for format in FORMATS)
        raise DataError(
            f"dataset.path={folder} holds {held} and none of {wanted} or train/<class>/*.txt; name the training file "
            f"with dataset.train_file"
        )
    return {"train": found[0]}


def _data_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if format_of(path) in FORMATS)


def _left_out(config: DatasetConfig, paths: Iterable[Path]) -> list[str]:
    """Says which data files of the folder are none of ``paths``; of a folder of texts its reader says it."""
    folder, read = Path(config.path or "").expanduser(), {path.resolve() for path in paths}
    if config.path is None or not folder.is_dir() or folder.resolve() in read:
        return []
    others = [path.name for path in _data_files(folder) if path.resolve() not in read]
    shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
    return [f"{folder}: {len(others):,} data files are not read ({shown})"] if others else []


def _columns(config: DatasetConfig, split: str, path: Path) -> Columns:
    if path.is_dir():
        if config.text_pair_column is not None:
            raise DataError(f"dataset.text_pair_column needs a file with columns, and {path} is a folder of texts")
        if config.separator or config.header:
            raise DataError(
                f"dataset.separator and dataset.header are of csv and tsv files, and {path} is a folder of texts"
            )
        return Columns(encoding=config.encoding)
    columns = Columns(
        config.text_column,
        config.text_pair_column,
        config.label_column,
        header=None if config.header is None else tuple(config.header),
        separator=config.separator,
        encoding=config.encoding,
    )
    if split == "test" and columns.label not in (columns.header or column_names(path, columns)):
        columns = replace(columns, label=None)
    check_columns(path, columns)
    return columns
