"""The embedded reviews need no address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.source import DatasetSource

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    description = "short film reviews, made by a grammar in the package"

    def read() -> TextDataset:
        from bertexp.data.sets.reviews import LABEL_NAMES, make_reviews
        from bertexp.data.splits import make_dataset

        return make_dataset(config, task, make_reviews(), LABEL_NAMES, description)

    return DatasetSource(description, read)
