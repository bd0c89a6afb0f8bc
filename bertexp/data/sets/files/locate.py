"""Where a user's own files lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import find_splits
from bertexp.data.find.source import DatasetSource
from bertexp.data.sets import conll
from bertexp.tasks.registry import find_task

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    if find_task(task).reads_words:
        return conll.locate(config, task, cache_dir)
    splits = find_splits(config)

    def read() -> TextDataset:
        from bertexp.data.sets.files.load import load_files

        return load_files(config, task, splits)

    return DatasetSource(", ".join(f"{split} {path}" for split, (path, _) in splits.items()), read)
