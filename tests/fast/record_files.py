"""TFRecord files of encoded rows, made without TensorFlow."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np

from bertexp.data.encoded.protobuf import write_examples
from bertexp.data.encoded.tfrecord import masked_checksums


def serialize(features: dict[str, np.ndarray]) -> list[bytes]:
    data, offsets = write_examples(features)
    return [data[begin:end].tobytes() for begin, end in pairwise(offsets)]


def write_file(path: Path, records: list[bytes]) -> Path:
    """Records framed one by one, as the format says."""

    def checksum(data: bytes) -> bytes:
        buffer = np.frombuffer(data, np.uint8)
        return masked_checksums(buffer, np.array([0]), np.array([len(data)])).astype("<u4").tobytes()

    heads = [struct.pack("<Q", len(record)) for record in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"".join(h + checksum(h) + record + checksum(record) for h, record in zip(heads, records, strict=True))
    )
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
