"""The embedded reviews: the same everywhere, disjoint between splits, and beyond counting words."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bertexp.data.sets.reviews import LABEL_NAMES, SIZES, load_vocab, make_reviews
from bertexp.data.sets.reviews.grammar import CONSTRUCTIONS, make_templates, read_sections
from bertexp.data.table import make_fingerprint

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def splits():
    return make_reviews()


def test_the_reviews_are_the_same_on_every_machine(splits):
    assert (
        {split: table.num_rows for split, table in splits.items()} == SIZES == {"train": 4000, "val": 500, "test": 1000}
    )
    assert make_fingerprint(splits, LABEL_NAMES) == "cd642b1e263bfacc"


def test_half_of_each_split_is_praise_and_no_text_occurs_twice(splits):
    texts = [text for table in splits.values() for text in table["text"].to_pylist()]
    assert len(set(texts)) == len(texts) == 5500
    for table in splits.values():
        assert sum(table["label"].to_pylist()) * 2 == table.num_rows


def test_templates_are_many_and_belong_to_one_split_each():
    owned = {
        split: {
            t
            for symbol in (*CONSTRUCTIONS, "setting", "aside")
            for _, found in make_templates(symbol, split)
            for t in found
        }
        for split in SIZES
    }
    assert len(owned["train"]) > 200
    assert not owned["train"] & owned["test"]
    assert not owned["train"] & owned["val"]
    assert not owned["val"] & owned["test"]


def test_fillers_belong_to_one_split_each():
    fillers = {
        split: {
            e.partition("/")[0].lower() for entries in read_sections(f"fillers_{split}.txt").values() for e in entries
        }
        for split in SIZES
    }
    assert not fillers["train"] & fillers["test"]
    assert not fillers["train"] & fillers["val"]
    assert not fillers["val"] & fillers["test"]


def test_every_kind_of_meaning_occurs(splits):
    texts = " ".join(splits["test"]["text"].to_pylist())
    for pattern in (
        "Nobody",
        "however",
        "[Aa]lthough",
        "which is (quite |simply )?wrong",
        "would have been",
        r"\(The ",
    ):
        assert re.search(pattern, texts), pattern


def test_counting_words_is_not_enough(splits):
    from make_reviews_page import bag_of_words_accuracy

    assert bag_of_words_accuracy(splits, 1) < 0.85
    assert bag_of_words_accuracy(splits, 3) < 0.90


def test_the_page_and_the_vocabulary_are_up_to_date():
    from make_reviews_page import MARK, PAGE, make_part
    from make_vocab import make_vocab

    assert PAGE.read_text(encoding="utf-8").split(MARK)[1] == make_part()
    assert tuple(make_vocab()) == load_vocab()


def test_the_vocabulary_spells_any_english_word():
    vocab = set(load_vocab())
    assert {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} <= vocab
    for code in range(33, 127):
        assert {chr(code), "##" + chr(code)} <= vocab
