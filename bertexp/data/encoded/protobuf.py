"""tf.train.Example as bytes, written and read for thousands of rows at once in NumPy.

The generic library makes a Python integer of every word piece. Here the rows of a chunk go in lockstep: what a parser
reads next is read of all rows together.

The form (tensorflow/core/example/example.proto, feature.proto; protobuf.dev/programming-guides/encoding):
Example {1: Features {1: entry {1: name, 2: Feature {1: BytesList | 2: FloatList | 3: Int64List {1: packed values}}}}}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bertexp.data.tokens.packing import expand_runs

_FIRST, _SECOND, _THIRD = (
    0x0A,
    0x12,
    0x1A,
)  # keys of the fields 1, 2 and 3; after each of them a length in bytes follows
_KINDS = {_FIRST: "bytes", _SECOND: "float", _THIRD: "int"}


class NotAnExample(ValueError):
    """Bytes that are no tf.train.Example with packed lists; says why."""


@dataclass(frozen=True)
class Packed:
    """The values of one feature, still packed in the buffer that they came in."""

    kind: str  # int | float | bytes
    starts: np.ndarray  # <int64>[rows], offsets in the buffer
    lengths: np.ndarray  # <int64>[rows], bytes; 0 in a row without the feature

    def read(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(values <int64 or float32>[n], how many each row has <int64>[rows]) out of the buffer <uint8>[bytes]."""
        flat = data[expand_runs(self.starts, self.lengths)]
        if self.kind == "float":
            return flat.view("<f4"), self.lengths // 4
        is_last = flat < 128
        ends = np.cumsum(is_last)
        counts = np.diff(np.concatenate([[0], ends])[np.concatenate([[0], np.cumsum(self.lengths)])])
        if is_last.all():
            return flat.astype(np.int64), counts
        return _read_varints(flat, np.concatenate([[0], np.flatnonzero(is_last)[:-1] + 1]))[0], counts


def write_examples(features: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Serializes rows.

    Args:
        features: for each name <float32>[rows, values], or <int>[rows, values] of 0 .. 2**31 - 1.

    Returns:
        (bytes <uint8>[n], offsets <int64>[rows + 1]); row ``i`` is ``bytes[offsets[i]:offsets[i + 1]]``.
    """
    # A varint below 128 is the byte itself. So a row is a row of numbers, keys, lengths and names among them; only the
    # bytes of floats are written as they are.
    rows = len(next(iter(features.values())))
    blocks, widths, in_features = [], [], np.zeros(rows, np.int64)
    for name, values in features.items():
        if values.dtype.kind == "f":
            key, values = _SECOND, np.ascontiguousarray(values, "<f4").view(np.uint8)
            width = np.ones(values.shape, np.uint8)
        else:
            key, width = _THIRD, _widths(values)
        in_values = width.sum(axis=1, dtype=np.int64)
        in_list = 1 + _widths(in_values) + in_values
        in_feature = 1 + _widths(in_list) + in_list
        in_entry = 2 + len(name) + 1 + _widths(in_feature) + in_feature
        in_features += 1 + _widths(in_entry) + in_entry
        head = [
            _FIRST,
            in_entry,
            _FIRST,
            len(name),
            *name.encode(),
            _SECOND,
            in_feature,
            key,
            in_list,
            _FIRST,
            in_values,
        ]
        blocks += [_columns(head, rows), values]
        widths += [_widths(blocks[-2]), width]
    blocks.insert(0, _columns([_FIRST, in_features], rows))
    widths.insert(0, _widths(blocks[0]))
    numbers = np.concatenate(blocks, axis=1, dtype=np.uint32, casting="unsafe").reshape(-1)
    offsets = np.concatenate([[0], np.cumsum(sum(width.sum(axis=1, dtype=np.int64) for width in widths))])
    return _write_varints(numbers, np.concatenate(widths, axis=1).reshape(-1)), offsets


def read_examples(data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> dict[str, Packed]:
    """Finds the features of serialized rows, in whatever order each row has them.

    Args:
        data: <uint8>[bytes].
        begins: <int64>[rows], the offset of each row in ``data``.
        ends: <int64>[rows].

    Raises:
        NotAnExample: a row is something else.
    """
    features: dict[str, Packed] = {}
    try:
        lengths, offsets = _read_lengths(data, begins, _FIRST)
        if not np.array_equal(offsets + lengths, ends):
            raise NotAnExample("something follows the features")
        rows = np.arange(len(begins))
        while (rows := rows[offsets[rows] < ends[rows]]).size:
            in_entry, start = _read_lengths(data, offsets[rows], _FIRST)
            offsets[rows] = start + in_entry
            _read_entries(data, rows, start, features, len(begins))
    except IndexError:
        raise NotAnExample("the bytes end within a feature") from None
    return features


def _read_entries(
    data: np.ndarray, rows: np.ndarray, starts: np.ndarray, features: dict[str, Packed], total: int
) -> None:
    """Adds one feature of each of ``rows``, whose entry begins at ``starts``, to ``features``."""
    in_name, names = _read_lengths(data, starts, _FIRST)
    in_feature, starts = _read_lengths(data, names + in_name, _SECOND)
    some = np.flatnonzero(in_feature > 0)
    rows, names, in_name, starts = rows[some], names[some], in_name[some], starts[some]
    keys = data[starts]
    in_list, starts = _read_lengths(data, starts, keys)
    in_values = np.zeros_like(in_list)
    some = np.flatnonzero(in_list)
    in_values[some], starts[some] = _read_lengths(data, starts[some], _FIRST)
    for name, key, which in _groups(data, names, in_name, keys):
        kind = _KINDS[key]
        if name not in features:
            features[name] = Packed(kind, np.zeros(total, np.int64), np.zeros(total, np.int64))
        if features[name].kind != kind:
            raise NotAnExample(f"{name} holds {features[name].kind} values in one row and {kind} values in another")
        features[name].starts[rows[which]] = starts[which]
        features[name].lengths[rows[which]] = in_values[which]


def _groups(
    data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, keys: np.ndarray
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yields each name (``lengths`` bytes from ``starts`` on) and key, and the indices <int64>[n] of those that have both."""
    left = np.arange(len(starts))
    while left.size:
        start, length, key = (int(values[left[0]]) for values in (starts, lengths, keys))
        if key not in _KINDS:
            raise NotAnExample(f"a feature has the key {key}")
        name = data[start : start + length]
        same = (lengths[left] == length) & (keys[left] == key)
        same[same] = (data[starts[left[same], None] + np.arange(length)] == name).all(axis=1)
        yield name.tobytes().decode(errors="replace"), key, left[same]
        left = left[~same]


def _read_lengths(data: np.ndarray, offsets: np.ndarray, key: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The length after the key at each offset, and the offset after it."""
    if (data[offsets] != key).any():
        raise NotAnExample("a field has another key than expected")
    return _read_varints(data, offsets + 1)


def _read_varints(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variable-length numbers <int64>[n] that begin at ``offsets`` <int64>[n], and the offsets after them."""
    byte = data[offsets]
    values, offsets, more = byte & np.int64(127), offsets + 1, np.flatnonzero(byte > 127)
    for shift in range(7, 70, 7):
        if not more.size:
            return values, offsets
        byte = data[offsets[more]]
        values[more] |= (byte & np.int64(127)) << shift
        offsets[more] += 1
        more = more[byte > 127]
    raise NotAnExample("a number is longer than 10 bytes")


def _write_varints(numbers: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """<uint8>[bytes] of numbers <uint32>[n] in ``widths`` bytes each."""
    offsets = np.cumsum(widths, dtype=np.int64) - widths
    out = np.empty(int(offsets[-1] + widths[-1]) if len(offsets) else 0, np.uint8)
    long = np.flatnonzero(widths > 1)
    out[offsets] = numbers
    while long.size:
        out[offsets[long]] = numbers[long] | 128
        offsets, numbers, widths = offsets[long] + 1, numbers[long] >> 7, widths[long] - 1
        out[offsets] = numbers
        long = np.flatnonzero(widths > 1)
    return out


def _widths(numbers: np.ndarray) -> np.ndarray:
    """Bytes <uint8> that each number of less than 32 bits takes, 7 bits a byte."""
    widths, largest = np.ones(numbers.shape, np.uint8), numbers.max(initial=0)
    for bits in (7, 14, 21, 28):
        if largest >= 1 << bits:
            widths += numbers >= 1 << bits
    return widths


def _columns(values: list[int | np.ndarray], rows: int) -> np.ndarray:
    return np.stack([np.broadcast_to(value, rows) for value in values], axis=1)
