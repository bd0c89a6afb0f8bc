"""TFRecord files without TensorFlow: the records' offsets, and their checksums.

A record is: length <uint64>, checksum of the length <uint32>, data, checksum of the data <uint32>; little-endian
(tensorflow.org/tutorials/load_data/tfrecord). A checksum is the CRC-32C (Castagnoli) of RFC 3720, rotated and shifted.
"""

from __future__ import annotations

import gzip
import struct
from functools import cache
from pathlib import Path

import numpy as np

from bertexp.data.tokens.packing import expand_runs
from bertexp.errors import DataError

_HEAD, _TAIL = 12, 4  # bytes around the data
_LONGEST = 1 << 16  # bytes; 512 positions of a BERT need 3,000
_POLYNOMIAL = 0x82F63B78
_CHUNK = 1 << 22  # bytes that are checked at a time


def map_records(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the records of a file, plain or gzip-compressed, and checks every byte.

    Returns:
        (data <uint8>[bytes], begins <int64>[records], ends <int64>[records]), the records' offsets in the data.

    Raises:
        DataError: the file is no TFRecord file, or damaged.
    """
    data = _read(path)
    starts: list[int] = []
    lengths: list[int] = []
    offset = 0
    while offset < len(data):
        length = struct.unpack_from("<Q", data.data, offset)[0] if offset + _HEAD <= len(data) else 0
        if offset + _HEAD + length + _TAIL > len(data):
            raise DataError(
                f"{path} is cut off in record {len(starts) + 1}" if starts else f"{path} is not a TFRecord file"
            )
        if length > _LONGEST:
            raise DataError(f"{path}: record {len(starts) + 1} has {length:,} bytes, which no row of word pieces needs")
        starts.append(offset + _HEAD)
        lengths.append(length)
        offset += _HEAD + length + _TAIL
    begins = np.array(starts, np.int64)
    ends = begins + np.array(lengths, np.int64)
    _check(path, data, begins - _HEAD, begins - 4)
    _check(path, data, begins, ends)
    return data, begins, ends


def _read(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if not compressed:
        return np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    try:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); fetch it again") from error


def _check(path: Path, data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> None:
    """Compares the checksums that follow ``ends`` with those of the bytes before."""
    step = max(1, _CHUNK * len(begins) // max(1, int((ends - begins).sum())))
    for first in range(0, len(begins), step):
        some = slice(first, first + step)
        stored = data[ends[some, None] + np.arange(4)].view("<u4")[:, 0]
        wrong = np.flatnonzero(masked_checksums(data, begins[some], ends[some]) != stored)
        if wrong.size:
            raise DataError(f"{path} is damaged in record {first + wrong[0] + 1}: its checksum differs; make it again")


def masked_checksums(data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Checksums <uint32>[n], as TFRecord files hold them, of ``data[begins[i]:ends[i]]``, none of them empty.

    A CRC is linear: what a byte adds depends on its value and its distance from the end alone, so all bytes of all
    records are looked up together.
    """
    lengths = ends - begins
    tables, registers = _tables(int(lengths.max(initial=1) - 1).bit_length())
    distances = np.repeat(np.cumsum(lengths), lengths) - 1 - np.arange(lengths.sum())
    added = tables.reshape(-1)[distances * 256 + data[expand_runs(begins, lengths)]]
    crc = ~(np.bitwise_xor.reduceat(added, np.cumsum(lengths) - lengths) ^ registers[lengths])
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


@cache
def _tables(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """For distances below ``1 << bits``: what each byte adds <uint32>[distance, 256], and what the first register
    0xFFFFFFFF has become after so many bytes <uint32>[distance + 1]."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ (np.uint32(_POLYNOMIAL) * (table & 1))
    size = 1 << bits
    tables, registers = np.empty((size, 256), np.uint32), np.empty(size + 1, np.uint32)
    added, register = table, np.uint32(0xFFFFFFFF)
    for distance in range(size):
        tables[distance], registers[distance] = added, register
        added = table[added & 255] ^ (added >> np.uint32(8))
        register = table[register & 255] ^ (register >> np.uint32(8))
    registers[size] = register
    return tables, registers
