"""WNUT 2017, emerging entities (Derczynski et al. 2017): three files of tagged words."""

from __future__ import annotations

from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import find_published
from bertexp.data.find.source import DatasetSource, later

_URL = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master"
_FILES = {"train": "wnut17train.conll", "val": "emerging.dev.conll", "test": "emerging.test.annotated"}


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    cure = "give the folder with WNUT 17's three files"
    folder, downloads = find_published(config, cache_dir, _URL, _FILES.values(), cure)
    paths = {split: folder / name for split, name in _FILES.items()}
    description = f"WNUT 2017 emerging entities, {', '.join(downloads.values()) or folder}"
    return DatasetSource(description, later("formats.tagged.load_tagging", config, task, paths), downloads)
