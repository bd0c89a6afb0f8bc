"""Windows of long contexts: cut, packed and labelled as a plain loop would."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from bertexp.data.tokens.packing import AlignedTokens, TokenColumn
from bertexp.data.tokens.windows import byte_offsets, cut_windows, find_pieces, label_windows, pack_windows

CLS, SEP, PAD = 101, 102, 0


def column(*rows: list[int]) -> TokenColumn:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return TokenColumn(np.array([token for row in rows for token in row], np.int32), offsets)


def placed(*rows: list[tuple[int, int]]) -> AlignedTokens:
    """Pieces at the given bytes; their ids count up from 1000."""
    values, offsets = column(*([0] * len(row) for row in rows))
    flat = np.array([place for row in rows for place in row], np.int32).reshape(-1, 2)
    return AlignedTokens(np.arange(1000, 1000 + len(values), dtype=np.int32), offsets, flat[:, 0], flat[:, 1])


def loop_windows(question: list[int], context: list[int], max_length: int, overlap: int) -> list[tuple[int, list[int]]]:
    """(first context piece, ids) of each window, piece by piece."""
    question = question[: min(64, (max_length - 3 - overlap) // 2)]
    room = max_length - 3 - len(question)
    windows, start = [], 0
    while True:
        windows.append((start, [CLS, *question, SEP, *context[start : start + room], SEP]))
        if start + room >= len(context):
            return windows
        start += room - overlap


@pytest.mark.parametrize(("max_length", "overlap"), [(8, 0), (8, 1), (8, 4), (9, 2), (16, 4), (40, 20), (150, 37)])
def test_windows_and_their_packing_equal_a_plain_loop(max_length, overlap):
    generator = np.random.default_rng(max_length)
    questions = [generator.integers(1, 99, n).tolist() for n in generator.integers(0, 2 * max_length, 40)]
    contexts = placed(*([(i, i + 1) for i in range(n)] for n in [0, 1, *generator.integers(1, 4 * max_length, 8)]))
    context_of = generator.integers(0, 10, 40)
    windows = cut_windows([len(q) for q in questions], contexts.lengths[context_of], max_length, overlap)
    expected = []
    for row, question in enumerate(questions):
        begin, end = contexts.offsets[context_of[row] :][:2]
        found = loop_windows(question, contexts.values[begin:end].tolist(), max_length, overlap)
        expected += [(row, start, ids) for start, ids in found]
    assert windows.rows.tolist() == [row for row, _, _ in expected]
    assert windows.starts.tolist() == [start for _, start, _ in expected]
    assert windows.lengths.tolist() == [len(ids) for _, _, ids in expected]
    places = generator.permutation(len(expected))
    features = pack_windows(windows, places, column(*questions), contexts, context_of, max_length, (CLS, SEP, PAD))
    for row, place in enumerate(places):
        ids = expected[place][2]
        padding = [0] * (features["input_mask"].shape[1] - len(ids))
        segment = ids.index(SEP) + 1
        assert features["input_word_ids"][row].tolist() == ids + padding
        assert features["input_mask"][row].tolist() == [1] * len(ids) + padding
        assert features["input_type_ids"][row].tolist() == [0] * segment + [1] * (len(ids) - segment) + padding
        assert windows.firsts[place] == segment


def test_places_in_characters_become_places_in_bytes():
    generator = np.random.default_rng(0)
    alphabet = list("ab é 北京 😀 ß\u0301")
    texts = ["".join(generator.choice(alphabet, n)) for n in generator.integers(0, 30, 50)]
    rows = generator.integers(0, 50, 300)
    characters = np.array([generator.integers(0, len(texts[row]) + 1) for row in rows])
    found = byte_offsets(pa.array(texts), rows, characters)
    assert found.tolist() == [len(texts[r][:c].encode()) for r, c in zip(rows, characters, strict=True)]


def test_pieces_of_an_answer_are_those_that_it_touches():
    generator = np.random.default_rng(0)
    contexts = []
    for _ in range(30):
        bounds = np.cumsum(generator.integers(1, 4, 2 * generator.integers(0, 12)))
        contexts.append([(int(a), int(b)) for a, b in zip(bounds[::2], bounds[1::2], strict=True)])
    pieces = placed(*contexts)
    rows = generator.integers(0, 30, 500)
    begins = generator.integers(0, 40, 500)
    ends = begins + generator.integers(1, 9, 500)
    first, last = find_pieces(pieces, rows, begins, ends)
    for row, begin, end, found_first, found_last in zip(rows, begins, ends, first, last, strict=True):
        touched = [i for i, (a, b) in enumerate(contexts[row]) if a < end and b > begin]
        if touched:
            assert (found_first, found_last) == (touched[0], touched[-1])
        else:
            assert found_last < found_first


def test_all_pieces_of_one_character_belong_to_an_answer_that_holds_it():
    korean = placed([(0, 3), (0, 3), (0, 3), (3, 6), (3, 6), (3, 6), (6, 9), (6, 9), (10, 14)])
    first, last = find_pieces(korean, np.zeros(4, int), np.array([0, 3, 6, 3]), np.array([3, 6, 9, 14]))
    assert list(zip(first, last, strict=True)) == [(0, 2), (3, 5), (6, 7), (3, 8)]


def test_an_answer_is_labelled_in_every_window_that_holds_it_whole():
    windows = cut_windows([2, 2, 2], [20, 20, 5], 13, 3)  # room 8, stride 5
    labels = label_windows(windows, np.array([6, -1, 0]), np.array([7, -1, 4]))
    assert windows.starts.tolist() == [0, 5, 10, 15, 0, 5, 10, 15, 0]
    assert labels.tolist() == [[10, 11], [5, 6], [0, 0], [0, 0], *[[0, 0]] * 4, [4, 8]]
    split = label_windows(windows, np.array([4, 0, 0]), np.array([8, 0, 0]))
    assert split[:2].tolist() == [[0, 0], [0, 0]]
