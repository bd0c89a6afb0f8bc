"""Rows that were encoded earlier, here or by Model Garden's tools, read back as ragged columns of word pieces.

Padding and special tokens go, so that batches are grouped by length and truncated as those of texts are. The files are
read once; a memory-mapped table under the cache folder serves every later start.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.arrow_file import growing_lists, identity_of, map_arrow, write_arrow
from bertexp.errors import DataError
from bertexp.system import devices

FEATURES = ("input_ids", "input_mask", "segment_ids")
LABEL = "label_ids"
_ROWS_PER_CHUNK = 8192

Features = dict[str, np.ndarray]  # each <int or float>[rows, values]
ListsOf = tuple[np.ndarray, np.ndarray]  # <int32>[n] values, row after row, and how many each row has <int64>[rows]


@dataclass(frozen=True)
class Frame:
    """What stands around the pieces of rows."""

    cls_id: int
    sep_id: int
    largest_id: int
    width: int  # positions of a row, padding included
    values: int  # of each label: several where a row has a set of classes, 0 where it has no label


class Rows(NamedTuple):
    """Some rows without padding and special tokens."""

    text: ListsOf
    text_pair: ListsOf  # empty where rows are no pairs
    labels: np.ndarray  # <int32 or float32>[rows, values]
    frame: Frame


def read_split(files: Sequence[Path], cache_dir: Path) -> tuple[pa.Table, Frame]:
    """Reads the rows of a split, file after file.

    Returns:
        The memory-mapped table, and what stood around its pieces. The columns are ``text`` <large_list<int32>>, the ids
        without special tokens; ``text_pair``, such ids, if any row has a second segment; ``label``, if the rows have
        labels: <int32>, <float32>, or of several values <list<int32>>, the indices of those that are not 0.

    Raises:
        DataError: a file is damaged or holds other rows; names it.
    """
    path = cache_dir / f"{identity_of(files)}.arrow"
    if not path.exists():
        _write_table(files, path)
    table = map_arrow(path)
    return table.replace_schema_metadata(), Frame(**json.loads(table.schema.metadata[b"frame"]))


def _write_table(files: Sequence[Path], path: Path) -> None:
    labels, frames = [], []
    with growing_lists(path.parent, 2) as (text, text_pair):
        for rows in chain.from_iterable(map(_read_file, files)):
            text.append(*rows.text)
            text_pair.append(*rows.text_pair)
            labels.append(rows.labels)
            frames.append(rows.frame)
        if not frames:
            raise DataError(f"{files[0]} holds no rows")
        frame = join_frames(frames, str(files[0].parent))
        if any(rows.shape[1] != frame.values for rows in labels):
            raise DataError(
                f"{files[0].parent}: some rows have {LABEL} and some have not; keep them in files of their own"
            )
        columns = {"text": text.as_array(), "text_pair": text_pair.as_array()}
        if not len(columns["text_pair"].values):
            del columns["text_pair"]
        if frame.values:
            columns["label"] = _label_column(np.concatenate(labels))
        write_arrow(pa.table(columns).replace_schema_metadata({"frame": json.dumps(asdict(frame))}), path)


def _read_file(file: Path) -> Iterator[Rows]:
    """The rows of a file, some thousand at a time."""
    chunks = _arrow_chunks(file) if file.suffix == ".arrow" else _record_chunks(file)
    return (_strip(file, features) for features in chunks)


def _arrow_chunks(file: Path) -> Iterator[Features]:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(file)))
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            features = {}
            for name in _wanted(file, batch.schema.names):
                column = batch.column(name)
                if not pa.types.is_nested(column.type):
                    column = pa.FixedSizeListArray.from_arrays(column, 1)
                counts = pc.list_value_length(column).to_numpy()
                features[name] = _as_matrix(file, name, column.flatten().to_numpy(), counts)
            yield features
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a whole Arrow file ({error}); encode the rows again") from error


def _record_chunks(file: Path) -> Iterator[Features]:
    """The features of a TFRecord file of tf.train.Example; TensorFlow checks every byte of it."""
    examples = _examples(file)
    while rows := list(islice(examples, _ROWS_PER_CHUNK)):
        names = _wanted(file, {name for row in rows for name in row})
        yield {name: _values_of(file, name, [row[name] for row in rows]) for name in names}


def _examples(file: Path) -> Iterator[Mapping[str, Any]]:
    """The named features of each record.

    TensorFlow's threads do not begin yet, as they would with tf.data: their number is chosen when the model is built.
    """
    devices.prepare()
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    read_records = tf.compat.v1.io.tf_record_iterator.__wrapped__  # without the advice to use tf.data
    options = tf.io.TFRecordOptions("GZIP" if _is_gzip(file) else "")
    read = 0
    try:
        for record in read_records(str(file), options):
            yield tf.train.Example.FromString(record).features.feature
            read += 1
    except DecodeError as error:
        raise DataError(f"{file} does not hold tf.train.Example records: record {read + 1}: {error}") from error
    except tf.errors.DataLossError as error:
        if not read:
            raise DataError(f"{file} is not a TFRecord file, or damaged in record 1") from error
        if "truncated" in error.message:
            raise DataError(f"{file} is cut off in record {read + 1}") from error
        raise DataError(f"{file} is damaged in record {read + 1}: its checksum differs; make it again") from error


def _is_gzip(file: Path) -> bool:
    """Whether a file is compressed.

    Raises:
        DataError: it is, and not whole.
    """
    with open(file, "rb") as opened:
        if opened.read(2) != b"\x1f\x8b":
            return False
    try:
        with gzip.open(file) as opened:
            while opened.read(1 << 20):
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{file} is not a whole gzip file ({error}); fetch it again") from error
    return True


def _values_of(file: Path, name: str, features: Sequence[Any]) -> np.ndarray:
    """<int64 or float32>[rows, values] of the same feature (tf.train.Feature) of several rows."""
    kinds = {feature.WhichOneof("kind") for feature in features} - {None} or {"int64_list"}
    if len(kinds) > 1 or "bytes_list" in kinds:
        held = " and ".join(sorted(kind.removesuffix("_list") for kind in kinds))
        raise DataError(f"{file}: {name} holds {held} values, where all rows need numbers of one kind")
    (kind,) = kinds
    lists = [getattr(feature, kind).value for feature in features]
    values = np.fromiter(chain.from_iterable(lists), np.int64 if kind == "int64_list" else np.float32)
    return _as_matrix(file, name, values, np.array([len(row) for row in lists]))


def _as_matrix(file: Path, name: str, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    if (counts != counts[0]).any():
        raise DataError(f"{file}: some rows have {counts.min()} values of {name} and some {counts.max()}")
    return values.reshape(len(counts), counts[0])


def _wanted(file: Path, names: Iterable[str]) -> list[str]:
    missing = [name for name in FEATURES if name not in names]
    if missing:
        raise DataError(
            f"{file} lacks the features {', '.join(missing)}; it has {', '.join(sorted(names))}, and dataset=tfrecord reads "
            f"those that Model Garden's tools write: {', '.join(FEATURES)} and {LABEL}"
        )
    return [name for name in (*FEATURES, LABEL) if name in names]


def _strip(file: Path, features: Features) -> Rows:
    """Takes padding and special tokens away."""
    ids, mask, segments = (features[name] for name in FEATURES)
    if not ids.shape == mask.shape == segments.shape or not ids.size:
        raise DataError(f"{file}: {', '.join(FEATURES)} have not as many values each")
    labels = features.get(LABEL, np.zeros((len(ids), 0), np.int32))
    in_second = segments.sum(axis=1)
    in_first = mask.sum(axis=1) - in_second  # special tokens included
    position = np.arange(ids.shape[1])
    ends = np.stack([in_first, in_first + in_second])[:, :, None]
    is_first, is_real = position < ends
    is_second = is_real & ~is_first
    if not (np.array_equal(mask, is_real) and np.array_equal(segments, is_second)):
        raise DataError(f"{file}: rows are not laid out as first text, second text, padding, each in one piece")
    is_last = (position == ends - 1).any(axis=0)
    begin, last = ids[:, 0], ids[is_last]
    if (in_first < 2).any() or (begin != begin[0]).any() or (last != last[0]).any():
        raise DataError(f"{file}: rows do not all begin with the id of [CLS] and end with that of [SEP], as texts do")
    is_first[:, 0] = False
    return Rows(
        (ids[is_first & ~is_last].astype(np.int32), in_first - 2),
        (ids[is_second & ~is_last].astype(np.int32), np.maximum(in_second - 1, 0)),
        labels.astype(np.float32 if labels.dtype.kind == "f" else np.int32),
        Frame(int(begin[0]), int(last[0]), int(ids.max()), ids.shape[1], labels.shape[1]),
    )


def join_frames(frames: Sequence[Frame], where: str) -> Frame:
    """The frame of all rows; some of them may lack labels.

    Raises:
        DataError: they are of several encodings.
    """
    joined = {"largest_id": max(frame.largest_id for frame in frames)}
    for key, words in _WORDS.items():
        values = sorted({getattr(frame, key) for frame in frames} - ({0} if key == "values" else set()))
        if len(values) > 1:
            raise DataError(f"{where}: {words} {' and '.join(map(str, values))}: the files are of several encodings")
        joined[key] = values[0] if values else 0
    return Frame(**joined)


_WORDS = {
    "cls_id": "rows begin with the id",
    "sep_id": "texts end with the id",
    "width": "rows have the length",
    "values": "labels have the number of values",
}


def _label_column(labels: np.ndarray) -> pa.Array:
    """<int32 or float32>[rows, values] as <int32>, <float32> or, of several values, <list<int32>> of those not 0."""
    if labels.shape[1] == 1:
        return pa.array(labels[:, 0], pa.float32() if labels.dtype.kind == "f" else pa.int32())
    rows, classes = np.nonzero(labels)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(labels)))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(classes, pa.int32()))
