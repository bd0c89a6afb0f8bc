"""Tokenizer and token cache."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bertexp.data.tokens.cache import TokenCache
from bertexp.data.tokens.packing import Shape, pack_batch
from bertexp.data.tokens.tokenizer import ROWS_PER_CHUNK, Tokenizer
from bertexp.errors import WeightsError

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "was", "great", "##er", "!", "cafe", "Film"]


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    values, _ = tokenizer.encode([text])
    return tokenizer.pieces(values)


def test_uncased_lowers_strips_accents_and_splits_punctuation():
    assert pieces(Tokenizer(VOCAB, True), "The FILM was greater! Café zzz") == [
        *("the", "film", "was", "great", "##er", "!", "cafe", "[UNK]")
    ]


def test_cased_keeps_case_and_accents():
    assert pieces(Tokenizer(VOCAB, False), "The Film Café") == ["[UNK]", "Film", "[UNK]"]


def test_many_texts_keep_their_order_over_chunks_and_empty_texts_have_no_tokens():
    texts = ["film " * (row % 5) for row in range(2 * ROWS_PER_CHUNK + 7)]
    seen = []
    values, offsets = Tokenizer(VOCAB, True).encode(pa.chunked_array([texts[:10], texts[10:]]), seen.append)
    assert np.diff(offsets).tolist() == [row % 5 for row in range(len(texts))]
    assert (values.dtype, offsets.dtype) == (np.int32, np.int64)
    assert sum(seen) == len(texts)
    assert Tokenizer(VOCAB, True).encode([]).offsets.tolist() == [0]


def test_unfit_vocabularies_are_told_from_the_start():
    with pytest.raises(WeightsError, match=r"lacks \[UNK\], \[CLS\]"):
        Tokenizer(["[PAD]", "[SEP]", "a"], True)
    with pytest.raises(WeightsError, match="'the' twice"):
        Tokenizer([*VOCAB, "the"], True)


def test_fingerprint_follows_vocabulary_and_casing():
    prints = {
        Tokenizer(VOCAB, True).fingerprint,
        Tokenizer(VOCAB, False).fingerprint,
        Tokenizer(VOCAB[:-1], True).fingerprint,
    }
    assert len(prints) == 3
    assert Tokenizer(VOCAB, True).fingerprint in prints


def test_cache_is_read_without_tokenizing_again(tmp_path, monkeypatch):
    column = pa.chunked_array([["the film", "", "great film !"]])
    first = Tokenizer(VOCAB, True).encode(column, cache=TokenCache(tmp_path, "data", "train/text"))
    assert first.lengths.tolist() == [2, 0, 3]
    monkeypatch.setattr(Tokenizer, "_encode_chunks", lambda *_, **__: pytest.fail("tokenized again"))
    again = Tokenizer(VOCAB, True).encode(column, cache=TokenCache(tmp_path, "data", "train/text"))
    np.testing.assert_array_equal(first.values, again.values)
    assert [path.suffix for path in tmp_path.iterdir()] == [".arrow"]


@pytest.mark.parametrize("change", ["data", "part", "vocabulary", "casing"])
def test_cache_is_not_shared_where_ids_could_differ(tmp_path, change):
    column = pa.chunked_array([["The Film"]])
    Tokenizer(VOCAB, True).encode(column, cache=TokenCache(tmp_path, "data", "train/text"))
    tokenizer = Tokenizer(VOCAB[:-1] if change == "vocabulary" else VOCAB, change != "casing")
    data, part = "other" if change == "data" else "data", "val/text" if change == "part" else "train/text"
    tokenizer.encode(column, cache=TokenCache(tmp_path, data, part))
    assert len(list(tmp_path.iterdir())) == 2


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip_a_token(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.find(np.array([4, 5], np.int32).tobytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [_truncate, _flip_a_token, lambda path: path.write_bytes(b"")])
def test_damaged_cache_is_made_anew(tmp_path, damage):
    column = pa.chunked_array([["the film"] * 50])
    first = Tokenizer(VOCAB, True).encode(column, cache=TokenCache(tmp_path, "data", "train/text")).values.copy()
    (path,) = tmp_path.iterdir()
    damage(path)
    again = Tokenizer(VOCAB, True).encode(column, cache=TokenCache(tmp_path, "data", "train/text"))
    np.testing.assert_array_equal(first, again.values)


@pytest.mark.real
@pytest.mark.skipif("BERTEXP_SHARED" not in os.environ, reason="BERTEXP_SHARED is unset: no real vocabulary")
def test_packed_texts_and_pairs_equal_hugging_faces():
    shared = Path(os.environ["BERTEXP_SHARED"])
    vocab = (shared / "weights/bert_uncased_vocab.txt").read_text(encoding="utf-8").splitlines()
    reference = np.load(shared / "reference/minilm_l6_hf.npz", allow_pickle=True)
    tokenizer = Tokenizer(vocab, True)
    # tensorflow-text writes the ellipsis sign as three dots, as Google's preprocessor does and Hugging Face does not
    single = [row for row, text in enumerate(reference["single_text"]) if "…" not in str(text)]
    pair = list(range(len(reference["pair_text_a"])))
    for kind, names, rows in (("single", ["single_text"], single), ("pair", ["pair_text_a", "pair_text_b"], pair)):
        assert len(rows) >= 7
        columns = [tokenizer.encode(reference[name][rows].tolist()) for name in names]
        width = reference[f"{kind}_input_word_ids"].shape[1]
        packed = pack_batch(columns, np.arange(len(rows)), Shape(width), tokenizer.special_ids)
        for name, array in packed.items():
            found = np.pad(array, [(0, 0), (0, width - array.shape[1])])
            np.testing.assert_array_equal(found, reference[f"{kind}_{name}"][rows])
