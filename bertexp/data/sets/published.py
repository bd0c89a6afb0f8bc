"""Published data sets of films, intents and entities: IMDB, Banking77, WNUT 17."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path
from bertexp.data.find.source import DatasetSource
from bertexp.data.formats.columns import check_columns
from bertexp.data.formats.spec import Columns
from bertexp.errors import DataError
from bertexp.system.downloads import fetch

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset

_IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_IMDB_BYTES = 84_125_825
_BANKING77_URL = "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data"
_WNUT17_URL = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master"
_WNUT17_FILES = {"train": "wnut17train.conll", "val": "emerging.dev.conll", "test": "emerging.test.annotated"}


def locate_imdb(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    urls: tuple[str, ...] = ()
    if config.path is not None:
        path = existing_path("dataset.path", config.path)
        if path.is_dir():
            path = next((folder for folder in (path, path / "aclImdb") if (folder / "train" / "pos").is_dir()), path)
            missing = [
                name for name in ("train/neg", "train/pos", "test/neg", "test/pos") if not (path / name).is_dir()
            ]
            if missing:
                raise DataError(
                    f"dataset.path={config.path} has no folder {missing[0]}; give the folder aclImdb itself"
                )
        elif not tarfile.is_tarfile(path):
            raise DataError(
                f"dataset.path={config.path} is no tar archive; give aclImdb_v1.tar.gz or the folder aclImdb"
            )
    else:
        path = cache_dir / "aclImdb_v1.tar.gz"
        urls = () if path.exists() else (config.url or _IMDB_URL,)

    def load() -> TextDataset:
        from bertexp.data.sets.imdb import load_imdb

        for url in urls:
            fetch(url, path, _IMDB_SHA256, _IMDB_BYTES)
        return load_imdb(config, path, cache_dir)

    return DatasetSource(f"IMDB film reviews (Maas et al. 2011), {urls[0] if urls else path}", urls, load)


def locate_banking77(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    columns = Columns("text", None, "category")
    downloads: dict[Path, str] = {}
    if config.path is not None:
        folder = existing_path("dataset.path", config.path)
    else:
        folder, base = cache_dir, (config.url or _BANKING77_URL).rstrip("/")
        downloads = {path: f"{base}/{path.name}" for path in (folder / "train.csv", folder / "test.csv")}
        downloads = {path: url for path, url in downloads.items() if not path.exists()}
    files = {split: folder / f"{split}.csv" for split in ("train", "test")}
    for path in files.values():
        if path not in downloads:
            if not path.is_file():
                raise DataError(
                    f"{folder} holds no {path.name}; dataset.path must hold banking77's train.csv and test.csv"
                )
            check_columns(path, "csv", columns)

    def load() -> TextDataset:
        from bertexp.data.sets.files import load_files

        for path, url in downloads.items():
            fetch(url, path)
        return load_files(config, task, {split: (path, columns) for split, path in files.items()})

    urls = tuple(downloads.values())
    return DatasetSource(f"Banking77 (Casanueva et al. 2020), {', '.join(urls) or folder}", urls, load)


def locate_wnut17(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    folder = cache_dir if config.path is None else existing_path("dataset.path", config.path)
    places = {split: folder / file for split, file in _WNUT17_FILES.items()}
    missing = [path for path in places.values() if not path.is_file()]
    if missing and config.path is not None:
        raise DataError(
            f"dataset.path={config.path} has no {missing[0].name}; give the folder with WNUT 17's three files"
        )
    base = (config.url or _WNUT17_URL).rstrip("/")
    downloads = {path: f"{base}/{path.name}" for path in missing}

    def load() -> TextDataset:
        from bertexp.data.sets.tagged import load_tagging

        for path, url in downloads.items():
            fetch(url, path)
        return load_tagging(config, places)

    urls = tuple(downloads.values())
    return DatasetSource(f"WNUT 2017 emerging entities, {', '.join(urls) or folder}", urls, load)
