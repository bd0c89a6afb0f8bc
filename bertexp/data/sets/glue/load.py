"""GLUE tasks (Wang et al. 2019) from their tsv files.

GLUE's own test files have no labels. So the official dev set is the test set here, and validation rows are held out of
the training set; with ``dataset.val_fraction=0`` both are the dev set, which is then seen while a checkpoint is chosen.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.read import read_splits, read_whole
from bertexp.data.labels import encode_labels, make_labels
from bertexp.data.sets.glue.locate import GLUE, MSR_DEV_IDS, MSR_FILES, find_labelled, find_unlabelled
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset, make_fingerprint
from bertexp.system.archives import extract
from bertexp.system.files import write_text
from bertexp.tasks.registry import find_task


def load_glue(config: DatasetConfig, task: str, archive: Path | None, folder: Path) -> TextDataset:
    """Reads a task's labelled files, ``train`` and one or two to test on, in ``folder``, to which ``archive`` is unpacked.

    Raises:
        DataError: the archive is broken, a file or column is missing, or a row is bad.
    """
    if archive is not None:
        extract(archive, folder)
    if config.path is None:
        divide_msr(folder)
    glue, paths = GLUE[config.name], find_labelled(config.name, folder)
    labels = make_labels(find_task(task).label_form, glue.label_names)
    files = {split: (path, glue.columns) for split, path in paths.items()}
    tables, _, skipped, notes = read_splits(files, labels, config.on_bad_row)
    tables = hold_out_absent(tables, glue.label_names, config)
    seen = "tested on" if "val" in tables else "validation and test are both"
    source = f"{paths['train']}, {seen} the official {'dev' if paths['test'].suffix == '.tsv' else 'test'} set"
    tables.setdefault("val", tables["test"])
    return make_dataset(config, task, tables, glue.label_names, source, skipped, notes)


def divide_msr(folder: Path) -> None:
    """Divides Microsoft's training file of MRPC into GLUE's ``train.tsv`` and ``dev.tsv``, where the list of ids lies by it."""
    listed, paths = folder / MSR_DEV_IDS, (folder / "train.tsv", folder / "dev.tsv")
    if not listed.is_file() or all(path.is_file() for path in paths):
        return
    ids = set(listed.read_text(encoding="utf-8-sig").split("\n"))
    header, *rows = (folder / MSR_FILES["train"]).read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    in_dev = ["\t".join(row.split("\t")[1:3]) in ids for row in rows]
    for path, chosen in zip(paths, (False, True), strict=True):
        kept = [row for row, is_dev in zip(rows, in_dev, strict=True) if is_dev == chosen]
        write_text(path, "\n".join([header, *kept]) + "\n")


def load_unlabelled(name: str, task: str, folder: Path) -> TextDataset:
    """Reads GLUE's test files, every row of them: one split for each file to submit.

    Raises:
        DataError: a column is missing or the file is broken.
    """
    glue, paths = GLUE[name], find_unlabelled(name, folder)
    labels = make_labels(find_task(task).label_form, glue.label_names)
    columns = replace(glue.columns, label=None, header=None)  # GLUE's own test files all have a header
    splits = {split: encode_labels(read_whole(path, columns), labels) for split, path in paths.items()}
    return TextDataset(
        name=name,
        task=task,
        splits=splits,
        label_names=glue.label_names,
        has_pair=columns.text_pair is not None,
        fingerprint=make_fingerprint(splits, glue.label_names),
        skipped={},
        source=", ".join(map(str, paths.values())),
    )
