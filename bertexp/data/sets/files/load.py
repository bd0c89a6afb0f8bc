"""A user's own data: split files or one file, or folders of texts, as one dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.read import Rows, read_file, read_folder
from bertexp.data.formats.spec import Columns
from bertexp.data.labels import Labels, encode_labels, make_labels
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.tasks.registry import find_task


def load_files(config: DatasetConfig, task: str, files: Mapping[str, tuple[Path, Columns]]) -> TextDataset:
    """Reads the splits in ``files`` (``train`` and perhaps ``val``, ``test``) and cuts the others out of ``train``.

    Labels are what ``task`` learns: a class, a set of classes or a number.

    Raises:
        DataError: a row is bad, or the rows cannot be split as asked for.
    """
    labels = make_labels(find_task(task).label_form, config.label_names, config.label_separator)
    rows = {"train": _read(*files["train"], config, labels)}
    labels = labels.settle(rows["train"].table["label"])
    for split in files:
        if split != "train":
            rows[split] = _read(*files[split], config, labels)
    tables: dict[str, pa.Table] = {split: encode_labels(read.table, labels) for split, read in rows.items()}
    tables = hold_out_absent(tables, labels.names, config)
    skipped = sum((Counter(read.skipped) for read in rows.values()), Counter())
    source = ", ".join(f"{split} {path}" for split, (path, _) in files.items())
    if "test" in files and files["test"][1].label is None:
        source += " (no labels in test)"
    return make_dataset(config, task, tables, labels.names, source, skipped)


def _read(path: Path, columns: Columns, config: DatasetConfig, labels: Labels) -> Rows:
    if path.is_dir():
        return read_folder(path, labels, config.on_bad_row)
    return read_file(path, columns, None, labels, config.on_bad_row)
