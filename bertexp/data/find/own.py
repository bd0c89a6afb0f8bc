"""Rows that need no address: those in the package, and a user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.encoding import find_shards, read_encoding
from bertexp.data.find.paths import find_splits, find_tagged_splits
from bertexp.data.find.source import DatasetSource
from bertexp.errors import DataError

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


def locate_samples(config: DatasetConfig, task: str) -> DatasetSource:
    def load() -> TextDataset:
        from bertexp.data.sets.samples import make_samples

        return make_samples(config, task)

    return DatasetSource(f"packaged rows in place of {config.name}", (), load)


def locate_reviews(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    description = "short film reviews, made by a grammar in the package"

    def load() -> TextDataset:
        from bertexp.data.sets.reviews import LABEL_NAMES, make_reviews
        from bertexp.data.splits import make_dataset

        return make_dataset(config, make_reviews(), LABEL_NAMES, description)

    return DatasetSource(description, (), load)


def locate_files(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    if config.url is not None:
        raise DataError("dataset=files reads files on disk and does not use dataset.url; give dataset.path")
    if task == "tagging":
        return locate_conll(config, task, cache_dir)
    places = find_splits(config)

    def load() -> TextDataset:
        from bertexp.data.sets.files import load_files

        return load_files(config, task, places)

    return DatasetSource(", ".join(f"{split} {path}" for split, (path, _) in places.items()), (), load)


def locate_conll(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    if config.url is not None:
        raise DataError(f"dataset={config.name} reads files on disk and does not use dataset.url; give dataset.path")
    places = find_tagged_splits(config)

    def load() -> TextDataset:
        from bertexp.data.sets.tagged import load_tagging

        return load_tagging(config, places)

    return DatasetSource(", ".join(f"{split} {path}" for split, path in places.items()), (), load)


def locate_tfrecord(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    if config.url is not None:
        raise DataError("dataset=tfrecord reads files on disk and does not use dataset.url; give dataset.path")
    files = find_shards(config)
    folder = files["train"][0].parent
    encoding = read_encoding(folder)
    if encoding is not None:
        encoding.check(config, task, folder)

    def load() -> TextDataset:
        from bertexp.data.encoded.dataset import load_encoded

        return load_encoded(config, task, files, encoding, cache_dir)

    count = sum(map(len, files.values()))
    return DatasetSource(f"encoded rows, {count} files like {files['train'][0]}", (), load)
