"""Rows that were encoded earlier, here or by Model Garden's tools, read back as ragged columns of word pieces.

Padding and special tokens go, so that batches are grouped by length and truncated as those of texts are. The files are
read once; a memory-mapped table under the cache folder serves every later start.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.arrow_file import write_arrow
from bertexp.data.encoded.protobuf import NotAnExample, read_examples
from bertexp.data.encoded.tfrecord import map_records
from bertexp.data.tokens.packing import TokenColumn, expand_runs
from bertexp.errors import DataError
from bertexp.system.cores import available_cores, results_in_order
from bertexp.system.files import enough_space

FEATURES = ("input_ids", "input_mask", "segment_ids")
LABEL = "label_ids"
_ROWS_PER_CHUNK = 8192

Ragged = tuple[
    np.ndarray, np.ndarray
]  # values <int or float>[n], row after row, and how many each row has <int64>[rows]


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

    text: TokenColumn
    text_pair: TokenColumn  # without tokens where rows are no pairs
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
    path = cache_dir / f"{_identity(files)}.arrow"
    if not path.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        _write_table(files, path)
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return table.replace_schema_metadata(), Frame(**json.loads(table.schema.metadata[b"frame"]))


def _identity(files: Sequence[Path]) -> str:
    """A short name for these versions of the files, without reading all of them."""
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        with open(file, "rb") as opened:
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode() + opened.read(1 << 12))
    return digest.hexdigest()[:16]


def _write_table(files: Sequence[Path], path: Path) -> None:
    """Ids go to nameless files as they come and from there into the table: a million rows never lie in memory."""
    with (
        enough_space(path.parent),
        tempfile.TemporaryFile(dir=path.parent) as text,
        tempfile.TemporaryFile(dir=path.parent) as text_pair,
    ):
        scratch = {"text": text, "text_pair": text_pair}
        lengths: dict[str, list[np.ndarray]] = {"text": [], "text_pair": []}
        labels, frames = [], []
        for rows in _read_files(files):
            for name, file in scratch.items():
                column: TokenColumn = getattr(rows, name)
                file.write(column.values.tobytes())
                lengths[name].append(column.lengths)
            labels.append(rows.labels)
            frames.append(rows.frame)
        columns = {name: _lists(file, lengths[name]) for name, file in scratch.items() if name == "text" or file.tell()}
        if not frames:
            raise DataError(f"{files[0]} holds no rows")
        frame = join_frames(frames, str(files[0].parent))
        if any(rows.shape[1] != frame.values for rows in labels):
            raise DataError(
                f"{files[0].parent}: some rows have {LABEL} and some have not; keep them in files of their own"
            )
        if frame.values:
            columns["label"] = _label_column(np.concatenate(labels))
        write_arrow(pa.table(columns).replace_schema_metadata({"frame": json.dumps(asdict(frame))}), path)


def _read_files(files: Sequence[Path]) -> Iterator[Rows]:
    """The rows of all files in order, a few thousand a thread: NumPy leaves Python free."""
    threads = available_cores()
    with ThreadPoolExecutor(threads) as pool:
        calls = results_in_order(pool, (partial(_cut_file, file) for file in files), threads)
        yield from results_in_order(pool, chain.from_iterable(calls), 2 * threads)


def _cut_file(file: Path) -> list[Callable[[], Rows]]:
    """Calls that each read some thousand of the file's rows."""
    if file.suffix == ".arrow":
        return [partial(_read_batch, file, number) for number in range(_open_arrow(file).num_record_batches)]
    data, begins, ends = map_records(file)
    parts = [slice(first, first + _ROWS_PER_CHUNK) for first in range(0, len(begins), _ROWS_PER_CHUNK)]
    return [partial(_read_records, file, data, begins[part], ends[part]) for part in parts]


def _read_records(file: Path, data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> Rows:
    try:
        features = _wanted(file, read_examples(data, begins, ends))
        return _strip(file, {name: packed.read(data) for name, packed in features.items()})
    except NotAnExample as error:
        raise DataError(f"{file} does not hold tf.train.Example records: {error}") from error


def _open_arrow(file: Path) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(file)))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _read_batch(file: Path, number: int) -> Rows:
    try:
        batch = _open_arrow(file).get_batch(number)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
    columns = _wanted(file, dict(zip(batch.schema.names, batch.columns, strict=True)))
    return _strip(file, {name: _as_ragged(column) for name, column in columns.items()})


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"{file} is not a whole Arrow file ({error}); encode the rows again")


def _as_ragged(column: pa.Array) -> Ragged:
    if not pa.types.is_nested(column.type):
        return column.to_numpy(), np.ones(len(column), np.int64)
    return column.flatten().to_numpy(), pc.list_value_length(column).to_numpy().astype(np.int64)


def _wanted(file: Path, features: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in FEATURES if name not in features]
    if missing:
        raise DataError(
            f"{file} lacks the features {', '.join(missing)}; it has {', '.join(sorted(features))}, and dataset=tfrecord reads "
            f"those that Model Garden's tools write: {', '.join(FEATURES)} and {LABEL}"
        )
    return {name: features[name] for name in (*FEATURES, LABEL) if name in features}


def _strip(file: Path, features: Mapping[str, Ragged]) -> Rows:
    """Takes padding and special tokens away."""
    (ids, counts), (mask, _), (segments, _) = (features[name] for name in FEATURES)
    if not all(np.array_equal(features[name][1], counts) for name in FEATURES) or not counts.all():
        raise DataError(f"{file}: {', '.join(FEATURES)} have not as many values each")
    begins = np.cumsum(counts) - counts
    positions = np.arange(len(ids)) - np.repeat(begins, counts)  # of each piece in its row
    lengths = np.add.reduceat(mask, begins)
    in_second = np.add.reduceat(segments, begins)
    first, rest = np.repeat(lengths - in_second, counts), np.repeat(lengths, counts)
    if not (
        np.array_equal(mask, positions < rest) and np.array_equal(segments, (positions >= first) & (positions < rest))
    ):
        raise DataError(f"{file}: rows are not laid out as first text, second text, padding, each in one piece")
    first_ends = (begins + lengths - in_second - 1)[in_second > 0]
    last = ids[np.concatenate([begins + lengths - 1, first_ends])]
    if (lengths - in_second < 2).any() or (ids[begins] != ids[0]).any() or (last != last[0]).any():
        raise DataError(f"{file}: rows do not all begin with the id of [CLS] and end with that of [SEP], as texts do")
    labels = _labels(file, features, len(counts))
    return Rows(
        _column(ids, begins + 1, lengths - in_second - 2),
        _column(ids, begins + lengths - in_second, np.maximum(in_second - 1, 0)),
        labels,
        Frame(int(ids[0]), int(last[0]), int(ids.max()), int(counts.max()), labels.shape[1]),
    )


def _column(ids: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> TokenColumn:
    return TokenColumn(ids[expand_runs(begins, lengths)].astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))


def _labels(file: Path, features: Mapping[str, Ragged], rows: int) -> np.ndarray:
    """<int32 or float32>[rows, values]; no values where the rows have no labels."""
    values, counts = features.get(LABEL, (np.zeros(0, np.int32), np.zeros(rows, np.int64)))
    if (counts != counts[0]).any():
        raise DataError(f"{file}: some rows have {counts.min()} values of {LABEL} and some {counts.max()}")
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32).reshape(
        rows, -1 if rows and counts[0] else 0
    )


def join_frames(frames: Sequence[Frame], where: str) -> Frame:
    """The frame of all rows; some of them may lack labels.

    Raises:
        DataError: they are of several encodings.
    """
    values: dict[str, list[int]] = {}
    for key in ("cls_id", "sep_id", "width", "values"):
        values[key] = sorted({getattr(frame, key) for frame in frames} - ({0} if key == "values" else set()))
        if len(values[key]) > 1:
            raise DataError(
                f"{where}: {_WORDS[key]} {' and '.join(map(str, values[key]))}: the files are of several encodings"
            )
    return Frame(
        values["cls_id"][0],
        values["sep_id"][0],
        max(frame.largest_id for frame in frames),
        values["width"][0],
        max(frame.values for frame in frames),
    )


_WORDS = {
    "cls_id": "rows begin with the id",
    "sep_id": "texts end with the id",
    "width": "rows have the length",
    "values": "labels have the number of values",
}


def _lists(scratch: BinaryIO, lengths: Sequence[np.ndarray]) -> pa.LargeListArray:
    """Raw <int32> ids in a file as one list a row, without a copy."""
    scratch.flush()
    values = np.memmap(scratch, np.int32, mode="r") if scratch.tell() else np.empty(0, np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values))


def _label_column(labels: np.ndarray) -> pa.Array:
    """<int32 or float32>[rows, values] as <int32>, <float32> or, of several values, <list<int32>> of those not 0."""
    if labels.shape[1] == 1:
        return pa.array(labels[:, 0])
    rows, classes = np.nonzero(labels)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(labels)))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(classes, pa.int32()))
