"""Banking77 (Casanueva et al. 2020): 13,083 questions to a bank, 77 intents; two csv files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path
from bertexp.data.find.source import DatasetSource
from bertexp.data.formats.columns import check_columns
from bertexp.data.formats.spec import Columns
from bertexp.errors import DataError

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset

_URL = "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data"


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    columns = Columns("text", None, "category")
    downloads: dict[Path, str] = {}
    if config.path is not None:
        folder = existing_path("dataset.path", config.path)
    else:
        folder, base = cache_dir, (config.url or _URL).rstrip("/")
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

    def read() -> TextDataset:
        from bertexp.data.sets.files.load import load_files

        return load_files(config, task, {split: (path, columns) for split, path in files.items()})

    return DatasetSource(
        f"Banking77 (Casanueva et al. 2020), {', '.join(downloads.values()) or folder}", read, downloads
    )
