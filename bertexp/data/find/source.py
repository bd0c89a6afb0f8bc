"""A dataset that was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


@dataclass(frozen=True)
class DatasetSource:
    """A dataset that was found, and how to read it."""

    description: str
    urls: tuple[str, ...]  # to download before it can be read
    load: Callable[[], TextDataset]  # downloads what is missing, reads, splits, limits; raises DataError, NetworkError
    load_unlabelled: Callable[[], TextDataset] | None = None  # for dataset.submission, after `load`: a split per file
