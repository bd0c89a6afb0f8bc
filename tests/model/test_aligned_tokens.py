"""Which bytes of a text its word pieces stand for, and their cache."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from bertexp.data.tokens.cache import TokenCache
from bertexp.data.tokens.packing import AlignedTokens
from bertexp.data.tokens.tokenizer import Tokenizer

LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789ß北京大학한国.,!?-€")
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS[:36]), "the", "##ing"]
SIGNS = [
    *"abcxyzABÉéüÖñçİßﬁ½Å 北京大한국 \t\n😀👩🏽.,!?-…€“”",
    "e\u0301",
    "\u200b",
    "\u00a0",
    "the ",
    "Thing",
    "👨\u200d👩",
]


def random_texts(count: int) -> list[str]:
    generator = np.random.default_rng(0)
    return ["".join(generator.choice(SIGNS, n)) for n in generator.integers(0, 40, count)]


def cleaned(text: str, lowercase: bool) -> str:
    """What is left of a part of a text for its pieces to spell."""
    if lowercase:
        text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return "".join(c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cf", "Cc"))


@pytest.mark.parametrize("lowercase", [True, False])
def test_pieces_stand_on_character_boundaries_in_order_and_spell_what_stands_there(lowercase):
    texts = random_texts(400)
    tokenizer = Tokenizer(VOCAB, lowercase)
    values, offsets, begins, ends = tokenizer.encode_aligned(texts)
    np.testing.assert_array_equal(values, tokenizer.encode(texts).values)
    assert {array.dtype for array in (values, begins, ends)} == {np.dtype(np.int32)}
    spelled = 0
    for row, text in enumerate(texts):
        part = slice(offsets[row], offsets[row + 1])
        content = text.encode()
        assert (np.diff(begins[part]) >= 0).all()
        assert (np.diff(ends[part]) >= 0).all()
        assert (begins[part] < ends[part]).all()
        for value, begin, end in zip(values[part], begins[part], ends[part], strict=True):
            found = content[begin:end].decode()  # fails inside a character
            piece = VOCAB[value].removeprefix("##")
            if piece != "[UNK]" and len(found) == 1 and cleaned(found, lowercase).isascii() and found not in "ﬁ½İ…":
                assert cleaned(found, lowercase) == piece
                spelled += 1
    assert spelled > 1000


def test_known_texts_give_back_the_words_they_hold():
    tokenizer = Tokenizer([*VOCAB, "cafe", "naive", "resume"], True)
    text = "Café 北京, naïve re\u0301sume\u0301s 😀 THE"
    values, _, begins, ends = tokenizer.encode_aligned([text])
    found = [text.encode()[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
    assert found == ["Café", "北", "京", ",", "naïve", "re\u0301sume\u0301", "s", "😀", "THE"]
    assert tokenizer.pieces(values) == ["cafe", "北", "京", ",", "naive", "resume", "##s", "[UNK]", "the"]


def test_all_pieces_of_one_character_stand_for_the_whole_of_it():
    _, offsets, begins, ends = Tokenizer(VOCAB, True).encode_aligned(["…", "a…", "…"])
    assert offsets.tolist() == [0, 3, 7, 10]
    assert list(zip(begins, ends, strict=True)) == [*[(0, 3)] * 3, (0, 1), *[(1, 4)] * 3, *[(0, 3)] * 3]


def test_the_cache_gives_the_same_and_is_another_than_that_of_plain_ids(tmp_path, monkeypatch):
    column, tokenizer = pa.chunked_array([random_texts(50)]), Tokenizer(VOCAB, True)
    fresh = tokenizer.encode_aligned(column)
    assert len(tokenizer.encode(column, cache=TokenCache(tmp_path, "data", "train/text")).values)
    nothing = tokenizer.encode_aligned(
        pa.chunked_array([], pa.string()), cache=TokenCache(tmp_path / "empty", "data", "contexts")
    )
    assert (nothing.offsets.tolist(), len(nothing.ends)) == ([0], 0)
    first = tokenizer.encode_aligned(column, cache=TokenCache(tmp_path, "data", "train/contexts"))
    monkeypatch.setattr(Tokenizer, "_encode_chunks", lambda *_, **__: pytest.fail("tokenized again"))
    again = tokenizer.encode_aligned(column, cache=TokenCache(tmp_path, "data", "train/contexts"))
    for found in (first, again):
        assert isinstance(found, AlignedTokens)
        for array, expected in zip(found, fresh, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert len(list(tmp_path.glob("*.arrow"))) == 2
