"""WordPiece tokens: text to ids, and their cache on disk.

tensorflow-text's FastBertTokenizer does the work, here and inside the exported graph, so a model always meets the ids
it was trained on. The tokenizer itself is built at the first text: a run whose token cache is warm never builds it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from bertexp.data.packing import TokenColumn
from bertexp.errors import WeightsError

ROWS_PER_CHUNK = 2048  # a few MB of reviews: bounds memory and keeps every core busy
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

Progress = Callable[[int], None]  # told how many texts were just done


class Tokenizer:
    """BERT's tokenizer: cleans, lower-cases and strips accents (uncased vocabularies), splits into word pieces.

    Args:
        vocab: the word pieces; a piece's id is its place in this list.
        lowercase: whether the vocabulary is an uncased one.

    Raises:
        WeightsError: the vocabulary lacks a special token or holds a piece twice.
    """

    def __init__(self, vocab: Sequence[str], lowercase: bool):
        self.vocab = tuple(vocab)
        self.lowercase = bool(lowercase)
        places = {piece: place for place, piece in enumerate(self.vocab)}
        missing = [token for token in SPECIAL_TOKENS if token not in places]
        if missing:
            raise WeightsError(
                f"the vocabulary of {len(self.vocab)} pieces lacks {', '.join(missing)}: "
                "give the vocab.txt of a BERT WordPiece model, one piece a line"
            )
        if len(places) < len(self.vocab):
            twice = next(piece for place, piece in enumerate(self.vocab) if places[piece] != place)
            raise WeightsError(f"the vocabulary holds the piece {twice!r} twice: every line of vocab.txt must differ")
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (places[token] for token in SPECIAL_TOKENS)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over vocabulary, options and the version of tensorflow-text."""
        version = importlib.metadata.version("tensorflow-text")
        digest = hashlib.sha256(f"{version} lowercase={self.lowercase}\n".encode())
        digest.update("\n".join(self.vocab).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def _fast_bert_tokenizer(self) -> Any:
        import tensorflow as tf
        import tensorflow_text

        try:
            return tensorflow_text.FastBertTokenizer(
                list(self.vocab), token_out_type=tf.int32, lower_case_nfd_strip_accents=self.lowercase
            )
        except RuntimeError as error:
            raise WeightsError(f"tensorflow-text cannot use this vocabulary: {error}") from error

    def encode(
        self, texts: Sequence[str] | pa.Array | pa.ChunkedArray, progress: Progress | None = None
    ) -> TokenColumn:
        """Tokenizes texts; no special tokens, no truncation.

        Returns:
            (values <int32>[n_tokens], offsets <int64>[n_texts + 1]).
        """
        values, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for chunk_values, chunk_lengths in self._encode_chunks(texts, progress):
            values.append(chunk_values)
            lengths.append(chunk_lengths)
        return TokenColumn(np.concatenate(values), _offsets(lengths))

    def pieces(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """The word pieces of the given ids, special tokens included."""
        return [self.vocab[id] for id in ids]

    def _encode_chunks(
        self, texts: Sequence[str] | pa.Array | pa.ChunkedArray, progress: Progress | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (ids, tokens in each row) of ROWS_PER_CHUNK rows at a time, in order, from as many threads as cores."""
        tokenizer = self._fast_bert_tokenizer

        def encode(begin: int) -> tuple[np.ndarray, np.ndarray]:
            chunk = texts[begin : begin + ROWS_PER_CHUNK]
            strings = chunk.to_pylist() if isinstance(chunk, pa.Array | pa.ChunkedArray) else list(chunk)
            tokens = tokenizer.tokenize(strings)
            return tokens.values.numpy(), np.diff(tokens.row_splits.numpy())

        threads = os.cpu_count() or 1
        waiting = deque()
        with ThreadPoolExecutor(threads) as pool:
            begins = iter(range(0, len(texts), ROWS_PER_CHUNK))
            waiting.extend(pool.submit(encode, begin) for begin in itertools.islice(begins, 2 * threads))
            while waiting:
                values, lengths = waiting.popleft().result()
                waiting.extend(pool.submit(encode, begin) for begin in itertools.islice(begins, 1))
                yield values, lengths
                if progress:
                    progress(len(lengths))


def encode_cached(
    column: pa.ChunkedArray,
    tokenizer: Tokenizer,
    cache_dir: str | Path,
    data_fingerprint: str,
    part: str,
    progress: Progress | None = None,
) -> TokenColumn:
    """Tokenizes one column of one split, or maps the result of an earlier time from disk.

    The cache is an Arrow file of one list column, memory-mapped, keyed by the data, the part, the vocabulary and the
    tokenizer's options; a damaged file is made anew.

    Args:
        column: <string>[n_rows].
        cache_dir: folder of the cache files; made if missing.
        data_fingerprint: the data set's content hash.
        part: split and column, such as "train/text".
        progress: called with the number of texts that were just tokenized or found in the cache.
    """
    key = f"{data_fingerprint} {part} {tokenizer.fingerprint}"
    name = f"{part.replace('/', '-')}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.arrow"
    path = Path(cache_dir) / name
    cached = _read_cache(path, key, len(column))
    if cached is not None:
        if progress:
            progress(len(column))
        return cached
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ids go to a nameless file as they come and from there into the Arrow file: a million rows never lie in memory.
    with tempfile.TemporaryFile(dir=path.parent) as scratch:
        lengths = [np.empty(0, np.int64)]
        for chunk_values, chunk_lengths in tokenizer._encode_chunks(column, progress):
            scratch.write(chunk_values.tobytes())
            lengths.append(chunk_lengths)
        _write_cache(path, key, scratch, _offsets(lengths))
    fresh = _read_cache(path, key, len(column))
    if fresh is None:
        raise OSError(f"the token cache {path} cannot be read back right after it was written")
    return fresh


def _offsets(lengths: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)


def _checksum(values: np.ndarray, offsets: np.ndarray) -> str:
    """Cheap enough for every start (a few ms for 25,000 reviews) and catches a flipped byte or a page of zeros."""
    return f"{len(values)} {int(values.sum(dtype=np.int64))} {int(offsets.sum(dtype=np.int64))}"


def _write_cache(path: Path, key: str, scratch: BinaryIO, offsets: np.ndarray) -> None:
    """Writes ids (raw <int32> in ``scratch``) and offsets as one Arrow file: temporary file, fsync, rename."""
    scratch.flush()
    values = np.memmap(scratch, np.int32, mode="r") if offsets[-1] else np.empty(0, np.int32)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
    metadata = {"key": key, "checksum": _checksum(values, offsets)}
    schema = pa.schema([pa.field("tokens", lists.type)], metadata)
    handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                writer.write_batch(pa.record_batch([lists], schema=schema))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_cache(path: Path, key: str, n_rows: int) -> TokenColumn | None:
    """Maps a cache file; None where it is absent, of another key, or damaged."""
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            metadata = reader.schema.metadata or {}
            lists = reader.get_batch(0).column(0)
        values, offsets = lists.values.to_numpy(), lists.offsets.to_numpy()
    except (OSError, pa.ArrowException, IndexError):
        return None
    if metadata.get(b"key") != key.encode() or len(offsets) != n_rows + 1 or offsets[-1] != len(values):
        return None
    if metadata.get(b"checksum") != _checksum(values, offsets).encode():
        return None
    return TokenColumn(values, offsets)
