"""A dataset that was located."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.system.downloads import fetch

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


@dataclass(frozen=True)
class DatasetSource:
    """Where a dataset lies, and how to read it."""

    description: str
    read: Callable[[], TextDataset]  # what lies there, split and limited; raises DataError
    downloads: Mapping[Path, str] = field(default_factory=dict)  # file that is missing -> its address
    checks: tuple[str, int] | tuple[()] = ()  # SHA-256 and bytes of what is downloaded, if known
    load_unlabelled: Callable[[], TextDataset] | None = None  # for dataset.submission, after `load`: a split per file

    @property
    def urls(self) -> tuple[str, ...]:
        """What must be downloaded before it can be read."""
        return tuple(self.downloads.values())

    def load(self) -> TextDataset:
        """Downloads what is missing, then reads.

        Raises:
            NetworkError: an address does not answer.
            DataError: what lies there is not what it should be.
        """
        for path, url in self.downloads.items():
            fetch(url, path, *self.checks)
        return self.read()


def later(function: str, *arguments: object) -> Callable[[], TextDataset]:
    """A call to make later of a function below ``bertexp.data``; its module, and with it pyarrow, is imported then."""
    module, _, name = function.rpartition(".")
    return lambda: getattr(importlib.import_module(f"bertexp.data.{module}"), name)(*arguments)
