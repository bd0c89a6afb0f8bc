"""GLUE tasks (Wang et al. 2019) from their tsv files: MRPC, SST-2, CoLA.

GLUE's own test files have no labels. So the official dev set is the test set here, and validation rows are held out of
the training set; with ``dataset.val_fraction=0`` both are the dev set, which is then seen while a checkpoint is chosen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.columns import Columns
from bertexp.data.dataset import TextDataset
from bertexp.data.labels import ClassLabels, encode_labels
from bertexp.data.sources import read_file
from bertexp.data.splits import hold_out, make_dataset


@dataclass(frozen=True)
class GlueFormat:
    """The columns of a task's train.tsv and dev.tsv, and what its labels 0 and 1 mean."""

    columns: Columns
    label_names: tuple[str, str]


FORMATS = {
    "mrpc": GlueFormat(Columns("#1 String", "#2 String", "Quality"), ("not_equivalent", "equivalent")),
    "sst2": GlueFormat(Columns("sentence"), ("negative", "positive")),
    "cola": GlueFormat(
        Columns("sentence", header=("source", "label", "star", "sentence")), ("unacceptable", "acceptable")
    ),
}


def load_glue(config: DatasetConfig, train_file: Path, test_file: Path) -> TextDataset:
    """Reads a task's labelled files: train.tsv and dev.tsv, or Microsoft's two files of MRPC.

    Raises:
        DataError: a column is missing or a row is bad.
    """
    task = FORMATS[config.name]
    labels = ClassLabels(task.label_names)
    skipped: Counter[str] = Counter()
    tables = {}
    for path in (train_file, test_file):
        rows = read_file(path, task.columns, "tsv", labels, config.on_bad_row)
        tables[path] = encode_labels(rows.table, labels)
        skipped += Counter(rows.skipped)
    splits = hold_out(tables[train_file], {"val": config.val_fraction}, task.label_names, config)
    splits["test"] = tables[test_file]
    official = "dev" if test_file.suffix == ".tsv" else "test"
    source = f"{train_file}, tested on the official {official} set"
    if "val" not in splits:
        splits["val"] = splits["test"]
        source = f"{train_file}, validation and test are both the official {official} set"
    return make_dataset(config, splits, task.label_names, source, skipped)
