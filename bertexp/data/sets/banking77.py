"""Banking77 (Casanueva et al. 2020): 13,083 questions to a bank, 77 intents; two csv files."""

from __future__ import annotations

from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import find_published
from bertexp.data.find.source import DatasetSource, later
from bertexp.data.formats.spec import Columns, check_columns

_URL = "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data"
_FILES = {"train": "train.csv", "test": "test.csv"}
_COLUMNS = Columns("text", None, "category")


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    cure = "dataset.path must hold banking77's train.csv and test.csv"
    folder, downloads = find_published(config, cache_dir, _URL, _FILES.values(), cure)
    files = {split: (folder / name, _COLUMNS) for split, name in _FILES.items()}
    for path, columns in files.values():
        if path not in downloads:
            check_columns(path, columns)
    description = f"Banking77 (Casanueva et al. 2020), {', '.join(downloads.values()) or folder}"
    return DatasetSource(description, later("formats.read.load_files", config, task, files), downloads)
