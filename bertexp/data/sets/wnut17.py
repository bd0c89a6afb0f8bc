"""WNUT 2017, emerging entities (Derczynski et al. 2017): three files of tagged words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path
from bertexp.data.find.source import DatasetSource
from bertexp.errors import DataError

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset

_URL = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master"
_FILES = {"train": "wnut17train.conll", "val": "emerging.dev.conll", "test": "emerging.test.annotated"}


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    folder = cache_dir if config.path is None else existing_path("dataset.path", config.path)
    paths = {split: folder / file for split, file in _FILES.items()}
    missing = [path for path in paths.values() if not path.is_file()]
    if missing and config.path is not None:
        raise DataError(
            f"dataset.path={config.path} has no {missing[0].name}; give the folder with WNUT 17's three files"
        )
    base = (config.url or _URL).rstrip("/")
    downloads = {path: f"{base}/{path.name}" for path in missing}

    def read() -> TextDataset:
        from bertexp.data.sets.tagged import load_tagging

        return load_tagging(config, task, paths)

    return DatasetSource(f"WNUT 2017 emerging entities, {', '.join(downloads.values()) or folder}", read, downloads)
