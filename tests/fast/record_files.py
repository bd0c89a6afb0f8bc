"""Files of encoded rows, made without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa


def write_file(path: Path, features: dict[str, np.ndarray]) -> Path:
    """An Arrow file of the given features, each [rows, values]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: pa.array(values.tolist(), pa.list_(pa.from_numpy_dtype(values.dtype)))
                      for name, values in features.items()})  # fmt: skip
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def rows_of(*rows: list[int], width: int = 8, label: list[float] | None = None, **more: list) -> dict[str, np.ndarray]:
    """Features of rows of ids, 101 first and 102 last; ids after the first 102 are a second text."""
    ids, mask, segments = (np.zeros((len(rows), width), np.int32) for _ in range(3))
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
        segments[number, row.index(102) + 1 : len(row)] = 1
    features = {"input_ids": ids, "input_mask": mask, "segment_ids": segments}
    labels = {} if label is None else {"label_ids": np.array(label).reshape(len(rows), -1)}
    return (
        features
        | {name: values.astype(np.float32 if values.dtype.kind == "f" else np.int32) for name, values in labels.items()}
        | more
    )
