"""A user's own tagged words: CoNLL files, or lists of words in jsonl and parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import find_tagged_splits
from bertexp.data.find.source import DatasetSource

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    paths = find_tagged_splits(config)

    def read() -> TextDataset:
        from bertexp.data.sets.tagged import load_tagging

        return load_tagging(config, task, paths)

    return DatasetSource(", ".join(f"{split} {path}" for split, path in paths.items()), read)
