"""WordPiece tokens: text to ids, and their cache on disk.

`fast_bert.py` makes what does the work, here and inside the exported graph, so a model always meets the ids
it was trained on. It is built at the first text: a run whose token cache is warm never builds it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from bertexp.data.arrow_file import row_offsets
from bertexp.data.tokens.cache import Chunk, Progress, TokenCache
from bertexp.data.tokens.fast_bert import make_fast_bert
from bertexp.data.tokens.packing import AlignedTokens, SpecialIds, TokenColumn
from bertexp.errors import WeightsError
from bertexp.interfaces import SPECIAL_TOKENS
from bertexp.system.machine import available_cores, results_in_order

Texts: TypeAlias = Sequence[str] | pa.Array | pa.ChunkedArray  # of strings

ROWS_PER_CHUNK = 2048  # a few MB of reviews: bounds memory and keeps every core busy


class Tokenizer:
    """BERT's tokenizer: cleans, lower-cases and strips accents (uncased vocabularies), splits into word pieces.

    Args:
        vocab: the word pieces; a piece's id is its index in this list.
        lowercase: whether the vocabulary is an uncased one.
        strip_accents: whether accents are then taken off.

    Raises:
        WeightsError: the vocabulary lacks a special token or holds a piece twice.
    """

    def __init__(self, vocab: Sequence[str], lowercase: bool, strip_accents: bool = True):
        self.vocab = tuple(vocab)
        self.lowercase = bool(lowercase)
        self.strip_accents = self.lowercase and bool(strip_accents)
        ids = {piece: id for id, piece in enumerate(self.vocab)}
        missing = [token for token in SPECIAL_TOKENS if token not in ids]
        if missing:
            raise WeightsError(
                f"the vocabulary of {len(self.vocab)} pieces lacks {', '.join(missing)}: "
                "give the vocab.txt of a BERT WordPiece model, one piece a line"
            )
        if len(ids) < len(self.vocab):
            twice = next(piece for id, piece in enumerate(self.vocab) if ids[piece] != id)
            raise WeightsError(f"the vocabulary holds the piece {twice!r} twice: every line of vocab.txt must differ")
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (ids[token] for token in SPECIAL_TOKENS)
        self.special_ids: SpecialIds = (self.cls_id, self.sep_id, self.pad_id)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over vocabulary, options and the version of tensorflow-text."""
        version = importlib.metadata.version("tensorflow-text")
        keeps = " strip_accents=False" if self.lowercase and not self.strip_accents else ""
        digest = hashlib.sha256(f"{version} lowercase={self.lowercase}{keeps}\n".encode())
        digest.update("\n".join(self.vocab).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def _fast_bert_tokenizer(self) -> Any:
        try:
            return make_fast_bert(self.vocab, self.lowercase, self.strip_accents)
        except RuntimeError as error:
            raise WeightsError(f"tensorflow-text cannot use this vocabulary: {error}") from error

    def encode(self, texts: Texts, progress: Progress | None = None, cache: TokenCache | None = None) -> TokenColumn:
        """Tokenizes texts, or maps the result of an earlier time from disk; no special tokens, no truncation.

        Args:
            texts: <string>[n_texts].
            progress: called with the number of texts that were just tokenized or found in the cache.
            cache: where the result is kept between runs; None: in memory alone.

        Returns:
            (values <int32>[n_tokens], offsets <int64>[n_texts + 1]).
        """
        (values,), offsets = self._encode(texts, ("tokens",), progress, cache)
        return TokenColumn(values, offsets)

    def encode_aligned(
        self, texts: Texts, progress: Progress | None = None, cache: TokenCache | None = None
    ) -> AlignedTokens:
        """Tokenizes texts as ``encode`` does, and tells which bytes of its text each token stands for.

        A ``cache`` must be of another part than those of ``encode``.
        """
        (values, begins, ends), offsets = self._encode(texts, ("tokens", "begins", "ends"), progress, cache)
        return AlignedTokens(values, offsets, begins, ends)

    def pieces(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """The word pieces of the given ids, special tokens included."""
        return [self.vocab[id] for id in ids]

    def _encode(
        self, texts: Texts, names: Sequence[str], progress: Progress | None, cache: TokenCache | None
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """The named columns, each <int32>[n_tokens], and the offsets of the texts in them."""
        chunks = partial(self._encode_chunks, texts, progress, aligned=len(names) > 1)
        if cache is not None:
            return cache.get(self.fingerprint, names, len(texts), chunks, progress)
        arrays, lengths = zip(*chunks(), strict=True)
        return [np.concatenate(parts) for parts in zip(*arrays, strict=True)], row_offsets(lengths)

    def _encode_chunks(self, texts: Texts, progress: Progress | None, aligned: bool) -> Iterator[Chunk]:
        """Encodes ROWS_PER_CHUNK rows at a time, in order, from as many threads as cores; one chunk also of no texts.

        Yields:
            ids, where ``aligned`` also begins and ends, each <int32>[n_tokens]; and the tokens in each row.
        """
        tokenizer = self._fast_bert_tokenizer

        def encode(begin: int) -> Chunk:
            chunk = texts[begin : begin + ROWS_PER_CHUNK]
            strings = np.array(chunk, object)
            ragged = tokenizer.tokenize_with_offsets(strings) if aligned else [tokenizer.tokenize(strings)]
            arrays = [part.flat_values.numpy().astype(np.int32, copy=False) for part in ragged]
            splits = ragged[0].row_splits.numpy()
            if aligned:
                arrays[2] = _whole_characters(arrays[1], arrays[2], splits)
            return arrays, np.diff(splits)

        threads = available_cores()
        calls = (partial(encode, begin) for begin in range(0, len(texts) or 1, ROWS_PER_CHUNK))
        with ThreadPoolExecutor(threads) as pool:
            for arrays, lengths in results_in_order(pool, calls, 2 * threads):
                yield arrays, lengths
                if progress:
                    progress(len(lengths))


def as_tokens(lists: pa.ChunkedArray) -> TokenColumn:
    """Token ids that came as <large_list<int32>>[rows]; not copied where they lie in one piece."""
    rows = lists.chunk(0) if lists.num_chunks == 1 else lists.combine_chunks()
    offsets = rows.offsets.to_numpy()
    return TokenColumn(rows.flatten().to_numpy(), offsets - offsets[0])


def _whole_characters(begins: np.ndarray, ends: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Ends <int32>[n_tokens] where all tokens that begin in one character end with it; else only the last of them does."""
    begin_anew = np.diff(begins, prepend=-1) != 0
    begin_anew[splits[splits < len(begins)]] = True
    firsts = np.flatnonzero(begin_anew)
    return np.repeat(np.maximum.reduceat(ends, firsts), np.diff(firsts, append=len(ends))) if len(ends) else ends
