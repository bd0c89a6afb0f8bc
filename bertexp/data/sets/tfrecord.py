"""Rows that were encoded earlier: shards of TFRecord or Arrow files."""

from __future__ import annotations

from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.encoding import find_shards, read_encoding
from bertexp.data.find.source import DatasetSource, later


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    files = find_shards(config)
    folder = files["train"][0].parent
    encoding = read_encoding(folder)
    if encoding is not None:
        encoding.check(config, task, folder)
    description = f"encoded rows, {sum(map(len, files.values()))} files like {files['train'][0]}"
    return DatasetSource(description, later("encoded.dataset.load_encoded", config, task, files, encoding, cache_dir))
