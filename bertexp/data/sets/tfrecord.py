"""Rows that were encoded earlier: shards of TFRecord or Arrow files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.encoding import find_shards, read_encoding
from bertexp.data.find.source import DatasetSource

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    files = find_shards(config)
    folder = files["train"][0].parent
    encoding = read_encoding(folder)
    if encoding is not None:
        encoding.check(config, task, folder)

    def read() -> TextDataset:
        from bertexp.data.encoded.dataset import load_encoded

        return load_encoded(config, task, files, encoding, cache_dir)

    count = sum(map(len, files.values()))
    return DatasetSource(f"encoded rows, {count} files like {files['train'][0]}", read)
