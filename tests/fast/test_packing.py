"""Packing: special tokens, truncation, masks and padding of a batch."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bertexp.data.tokens.packing import (
    Shape,
    TokenColumn,
    pack_batch,
    packed_lengths,
    padded_width,
)

CLS, SEP, PAD = 101, 102, 0


def column(*rows: list[int]) -> TokenColumn:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return TokenColumn(np.array([token for row in rows for token in row], np.int32), offsets)


def round_robin(first: list[int], second: list[int], budget: int) -> tuple[list[int], list[int]]:
    """The rule as tensorflow-text words it: texts take turns, one token each, until the budget is spent."""
    kept = ([], [])
    while budget and (len(kept[0]) < len(first) or len(kept[1]) < len(second)):
        for text, part in zip((first, second), kept, strict=True):
            if budget and len(part) < len(text):
                part.append(text[len(part)])
                budget -= 1
    return kept


def test_single_text_is_wrapped_padded_to_the_longest_and_masked():
    features = pack_batch([column([7, 8, 9], [5], [])], np.array([1, 0, 2]), Shape(128), (CLS, SEP, PAD))
    assert features["input_word_ids"].tolist() == [[CLS, 5, SEP, PAD, PAD], [CLS, 7, 8, 9, SEP], [CLS, SEP, 0, 0, 0]]
    assert features["input_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert not features["input_type_ids"].any()
    assert {array.dtype for array in features.values()} == {np.dtype(np.int32)}


def test_long_single_text_keeps_its_head():
    features = pack_batch([column(list(range(1, 100)))], np.array([0]), Shape(8), (CLS, SEP, PAD))
    assert features["input_word_ids"].tolist() == [[CLS, 1, 2, 3, 4, 5, 6, SEP]]


@pytest.mark.parametrize("max_length", [8, 9, 16])
def test_pairs_share_the_budget_in_turns_for_every_combination_of_lengths(max_length):
    pairs = [(list(range(1, n1 + 1)), list(range(50, 50 + n2))) for n1 in range(18) for n2 in range(18)]
    columns = [column(*(pair[0] for pair in pairs)), column(*(pair[1] for pair in pairs))]
    features = pack_batch(columns, np.arange(len(pairs)), Shape(max_length), (CLS, SEP, PAD))
    for row, (first, second) in enumerate(pairs):
        first, second = round_robin(first, second, max_length - 3)
        ids = [CLS, *first, SEP, *second, SEP]
        padding = [0] * (max_length - len(ids))
        assert features["input_word_ids"][row].tolist() == ids + padding
        assert features["input_mask"][row].tolist() == [1] * len(ids) + padding
        assert features["input_type_ids"][row].tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1) + padding
    assert packed_lengths(columns, max_length).tolist() == features["input_mask"].sum(1).tolist()
    assert packed_lengths(columns).tolist() == [len(a) + len(b) + 3 for a, b in pairs]


@pytest.mark.parametrize(("max_length", "most"), [(128, 64), (512, 96)])
def test_there_are_few_widths_little_is_lost_and_none_is_above_the_longest_allowed(max_length, most):
    longest = np.arange(3, max_length + 1)
    widths = np.array([padded_width(int(length), max_length) for length in longest])
    assert len(set(widths.tolist())) <= most
    assert (widths >= longest).all()
    assert widths.max() == max_length
    assert (widths / longest).max() < 1.06
    assert padded_width(500, 500) == 500


def test_a_batch_gets_the_width_of_its_longest_row_or_the_one_asked_for():
    texts = [column([1] * 9, [1] * 62)]
    assert pack_batch(texts, [0], Shape(128), (CLS, SEP, PAD))["input_mask"].shape == (1, 11)
    assert pack_batch(texts, [0, 1], Shape(128), (CLS, SEP, PAD))["input_mask"].shape == (2, 64)


def test_batch_of_long_reviews_packs_in_well_below_a_millisecond():
    texts = [column(*[[1] * 300] * 64)]
    rows = np.arange(0, 64, 2)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        pack_batch(texts, rows, Shape(128), (CLS, SEP, PAD))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1e-3


@pytest.mark.parametrize(
    ("long_text", "expected"),
    [
        ("truncate_head", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("truncate_tail", [13, 14, 15, 16, 17, 18, 19, 20]),
        ("head_tail", [1, 2, 15, 16, 17, 18, 19, 20]),
    ],
)
def test_what_stays_of_a_long_text(long_text, expected):
    features = pack_batch([column(range(1, 21), [5, 6])], np.array([0, 1]), Shape(10, long_text), (CLS, SEP, PAD))
    assert features["input_word_ids"].tolist() == [[CLS, *expected, SEP], [CLS, 5, 6, SEP, *[PAD] * 6]]
    pair = [column(range(1, 21)), column([30, 31])]
    ids = pack_batch(pair, np.array([0]), Shape(11, long_text), (CLS, SEP, PAD))["input_word_ids"][0].tolist()
    stays = {"truncate_head": range(1, 7), "truncate_tail": range(15, 21), "head_tail": [1, *range(16, 21)]}[long_text]
    assert ids == [CLS, *stays, SEP, 30, 31, SEP]
