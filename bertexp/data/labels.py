"""From the labels as a file spells them to class indices."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bertexp.errors import DataError


def discover_labels(column: pa.ChunkedArray) -> tuple[str, ...]:
    """Returns the distinct labels of ``<string>[rows]``, sorted; as numbers where all are whole numbers."""
    found = pc.unique(column).to_pylist()
    try:
        return tuple(sorted(found, key=int))
    except ValueError:
        return tuple(sorted(found))


def spellings(label_names: Sequence[str]) -> dict[str, int]:
    """Returns the class index of every accepted spelling: the names, and 0, 1, … where no name is a number itself.

    Raises:
        DataError: a name is given twice.
    """
    if len(set(label_names)) < len(label_names):
        raise DataError(f"dataset.label_names names a class twice: {', '.join(label_names)}")
    indices = {name: index for index, name in enumerate(label_names)}
    if not any(name.lstrip("-").isdigit() for name in label_names):
        indices |= {str(index): index for index in range(len(label_names))}
    return indices


def encode_labels(table: pa.Table, label_names: Sequence[str]) -> pa.Table:
    """Returns ``table`` with its string labels as class indices; -1 in every row where it has no column ``label``."""
    if "label" not in table.column_names:
        return table.append_column("label", pa.repeat(pa.scalar(-1, pa.int32()), table.num_rows))
    known = spellings(label_names)
    positions = pc.index_in(table["label"], value_set=pa.array(list(known)))
    indices = pc.take(pa.array(list(known.values()), pa.int32()), positions)
    return table.set_column(table.column_names.index("label"), "label", indices)
