"""Finds the files of a data set: named by the user, found in a folder, or to be downloaded. Reads none of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.errors import DataError, did_you_mean

_SPLITS = ("train", "val", "test")


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


def find_files(
    config: DatasetConfig,
    otherwise: Callable[[Path], Mapping[str, Path]],
    search: Callable[[Path, str], Sequence[Path]] = lambda folder, split: (),
) -> dict[str, Path]:
    """Returns the path of each of train, val and test that has one.

    It is the one that ``dataset.<split>_file`` names, inside ``dataset.path`` or anywhere, else the one that ``search``
    finds in the folder ``dataset.path``. If that is a file, it is there to train on.

    Args:
        otherwise: gives what to train on in the folder, and perhaps other splits, if nothing else tells; or raises.
        search: gives all that may be the split of that name.

    Raises:
        DataError: there is no training split, a named file is not there, or more than one may be meant.
    """
    if config.path is None and config.train_file is None:
        raise DataError(
            f"dataset={config.name} needs data: dataset.path=<folder or file>, or dataset.train_file=<file>"
        )
    root = existing_path("dataset.path", config.path) if config.path is not None else Path()
    paths: dict[str, Path] = {}
    for split in _SPLITS:
        name = getattr(config, f"{split}_file")
        if name is not None:
            inside = root / Path(name).expanduser()
            paths[split] = inside if inside.exists() else existing_path(f"dataset.{split}_file", name)
        elif config.path is not None and root.is_dir():
            found = search(root, split)
            if len(found) > 1:
                names = ", ".join(path.name for path in found)
                raise DataError(
                    f"{root} holds more than one {split} split ({names}); name one with dataset.{split}_file"
                )
            if found:
                paths[split] = found[0]
    if "train" not in paths:
        paths = {**({"train": root} if root.is_file() else otherwise(root)), **paths}
    return {split: paths[split] for split in _SPLITS if split in paths}


def find_published(
    config: DatasetConfig, cache_dir: Path, url: str, names: Iterable[str], cure: str
) -> tuple[Path, dict[Path, str]]:
    """Returns the folder of a published data set's files, ``dataset.path`` or the cache, and the addresses of those missing.

    Args:
        url: the files lie below it, or below ``dataset.url``.
        cure: what to do if one is not in ``dataset.path``.

    Raises:
        DataError: one is not there.
    """
    if config.path is None:
        return cache_dir, addresses((cache_dir / name for name in names), config.url or url)
    folder = existing_path("dataset.path", config.path)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"dataset.path={config.path} has no {missing[0]}; {cure}")
    return folder, {}


def addresses(paths: Iterable[Path], url: str) -> dict[Path, str]:
    """The address below ``url`` of each file that is not there."""
    return {path: f"{url.rstrip('/')}/{path.name}" for path in paths if not path.exists()}


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yields what lies below ``folder`` at any depth, and its kind: files, and links to folders, which are not followed.

    Of a hidden folder, as editors and notebooks make them, the folder itself is yielded and nothing within.

    Raises:
        DataError: a folder cannot be read.
    """
    for place, folders, names in os.walk(folder, onerror=_refuse):
        for name in folders:
            path = Path(place, name)
            if name.startswith(".") or path.is_symlink():
                yield path, kind_of(path) if name.startswith(".") else "links to folders"
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in names):
            yield path, kind_of(path)


def kind_of(path: Path) -> str:
    """The ending of a file's name in lower case, or what is said of one that has none."""
    return "hidden" if path.name.startswith(".") else path.suffix.lower() or "without an ending"


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read ({error.strerror}); mend its permissions") from error
