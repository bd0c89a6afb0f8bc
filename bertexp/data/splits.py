"""Holds rows out and draws fewer of them: by class and seed, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.table import SPLITS, TextDataset, make_fingerprint
from bertexp.errors import DataError
from bertexp.tasks.registry import find_task, tasks_for


def hold_out(
    table: pa.Table,
    fractions: Mapping[str, float],
    label_names: Sequence[str],
    config: DatasetConfig,
    groups: np.ndarray | None = None,
) -> dict[str, pa.Table]:
    """Cuts the splits named in ``fractions`` (of all rows) out of ``table``; the rest is ``train``. Keeps row order.

    Args:
        groups: <int>[rows], such as each row's article: no group stands in two splits, and ``dataset.stratify`` is not
            used.

    Raises:
        DataError: a class has too few rows to stand on both sides of a stratified cut, there are too few groups, or a
            split would be empty.
    """
    sizes = {split: round(fraction * table.num_rows) for split, fraction in fractions.items() if fraction > 0}
    for split, size in sizes.items():
        if size == 0:
            raise DataError(
                f"{split}: {fractions[split]:g} of {table.num_rows} rows is no row at all; raise "
                f"dataset.{split}_fraction or give the split a file of its own"
            )
    if groups is not None and len(np.unique(groups)) <= len(sizes):
        raise DataError(
            f"{len(np.unique(groups))} articles or groups of rows cannot be split into train, {' and '.join(sizes)}; give "
            "each split a file of its own"
        )
    stratified = config.stratify and groups is None
    classes = strata(table) if stratified else np.zeros(table.num_rows, np.int32)
    if sizes and stratified and (lonely := np.flatnonzero(np.bincount(classes) == 1)).size:
        raise DataError(
            f"class {label_names[lonely[0]]!r} has a single row, which cannot stand on both sides of a stratified "
            f"split; add rows to it, leave it out, or set dataset.stratify=false{_hint_at_numbers(label_names)}"
        )
    free = np.arange(table.num_rows)
    splits = {}
    for number, (split, size) in enumerate(sizes.items()):
        seed = config.split_seed + number
        if groups is not None:
            held = draw_groups(groups[free], size, seed, keep=len(sizes) - number)
        else:
            held = draw(classes[free], size, seed, keep_one=stratified)
        splits[split] = _pick(table, free[held])
        free = np.delete(free, held)
    return {"train": _pick(table, free) if sizes else table, **splits}


def hold_out_absent(
    splits: Mapping[str, pa.Table], label_names: Sequence[str], config: DatasetConfig, groups: np.ndarray | None = None
) -> dict[str, pa.Table]:
    """Adds test and val, cut out of train by ``hold_out``, if they are not there."""
    sizes = {"test": config.test_fraction, "val": config.val_fraction}
    fractions = {split: fraction for split, fraction in sizes.items() if split not in splits}
    return {**splits, **hold_out(splits["train"], fractions, label_names, config, groups)}


def _hint_at_numbers(label_names: Sequence[str]) -> str:
    try:
        numbers = [float(name) for name in label_names]
    except ValueError:
        return ""
    return f"; to learn numbers: {tasks_for('number')}" if any(not number.is_integer() for number in numbers) else ""


def strata(table: pa.Table) -> np.ndarray:
    """<int>[rows]: the class of each row; all the same where rows have no single class."""
    label = table["label"]
    return label.to_numpy() if pa.types.is_integer(label.type) else np.zeros(table.num_rows, np.int32)


def _pick(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """The rows of ascending numbers ``rows``; chunk by chunk, where ``take`` would first join each column's chunks."""
    mask = np.zeros(table.num_rows, bool)
    mask[rows] = True
    return table.filter(pa.array(mask))


def draw_groups(groups: np.ndarray, size: int, seed: int, keep: int = 1) -> np.ndarray:
    """Draws whole groups at random until they hold about ``size`` rows, at least one group.

    Args:
        groups: <int>[rows]; group of each row.
        keep: so many groups are never drawn.

    Returns:
        <int64>[about size]; the rows of the drawn groups in ascending order.
    """
    names, members = np.unique(groups, return_inverse=True)
    order = np.argsort(np.random.PCG64(seed).random_raw(len(names)))
    reached = np.cumsum(np.bincount(members)[order])[: len(names) - keep]
    drawn = order[: np.abs(reached - size).argmin() + 1]
    return np.flatnonzero(np.isin(members, drawn))


def draw(classes: np.ndarray, size: int, seed: int, keep_one: bool = False) -> np.ndarray:
    """Draws ``size`` of the rows, of each class its share (largest remainders), at random within a class.

    Args:
        classes: <int>[rows]; class of each row.
        keep_one: never draw the last row of a class.

    Returns:
        <int64>[size]; the drawn rows in ascending order (fewer where ``keep_one`` leaves no more).
    """
    names, members = np.unique(classes, return_inverse=True)
    counts = np.bincount(members, minlength=len(names))
    most = counts - 1 if keep_one else counts
    quotas = np.minimum(counts * size // len(classes), most)
    remainders = counts * size % len(classes)
    for index in np.argsort(-remainders, kind="stable"):
        if quotas.sum() < size and quotas[index] < most[index]:
            quotas[index] += 1
    # Raw output of the bit generator: NumPy keeps that stream stable, which it does not promise of its distributions.
    keys = np.random.PCG64(seed).random_raw(len(classes))
    order = np.lexsort((keys, members))
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(classes)) - starts[members[order]]
    return np.sort(order[rank < quotas[members[order]]])


def limit(splits: Mapping[str, pa.Table], config: DatasetConfig) -> dict[str, pa.Table]:
    """Returns the splits with at most ``limit_train``, ``limit_val`` and ``limit_test`` rows (each), drawn by class."""
    limited = dict(splits)
    for split, table in splits.items():
        size = getattr(config, f"limit_{split.partition('_')[0]}")
        if size is not None and size < table.num_rows:
            limited[split] = table.take(draw(strata(table), size, config.split_seed))
    return limited


def make_dataset(
    config: DatasetConfig,
    task: str,
    splits: Mapping[str, pa.Table],
    label_names: Sequence[str],
    source: str,
    skipped: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
) -> TextDataset:
    """Applies the limits, checks that there is something to learn, and takes the fingerprint.

    Args:
        splits: with ``label`` in the form of ``task``.

    Raises:
        DataError: there are fewer than two classes or tags to tell apart.
    """
    spec = find_task(task)
    if spec.has_classes and len(label_names) < 2:
        kind, column = spec.nouns[0], "tags" if spec.reads_words else "label"
        there = f"only the {kind} {label_names[0]!r}" if label_names else f"no {kind}"
        raise DataError(f"{source}: {there} was found, and task={task} needs two; check dataset.{column}_column")
    has_pair = "text_pair" in splits["train"].column_names
    if has_pair and config.long_text == "windows" and not spec.reads_windows:
        raise DataError(
            f"{source} holds pairs of texts, and dataset.long_text=windows cuts single texts; take truncate_head, "
            f"truncate_tail or head_tail, which share dataset.max_length between the two"
        )
    limited = limit({split: splits[split] for split in SPLITS if split in splits}, config)
    return TextDataset(
        name=config.name,
        task=task,
        splits=limited,
        label_names=tuple(label_names),
        has_pair=has_pair,
        fingerprint=make_fingerprint(limited, label_names),
        skipped=dict(skipped or {}),
        source=source,
        notes=tuple(notes),
    )
