"""Exact match and F1 as SQuAD's official evaluation defines them, and the choice of a span."""

from __future__ import annotations

import numpy as np
import pytest

from bertexp.tasks.question_answering.answers import (
    Candidates,
    best_spans,
    choose_answers,
    exact_match,
    f1_score,
    normalize_answer,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Panthers!", "panthers"),
        ("a U.S. law, the 2nd", "us law 2nd"),
        ("An\tapple\na day", "apple day"),
        ("theory of another", "theory of another"),
        ("Jean-Paul's", "jeanpauls"),
        ("don’t — “quote”", "don’t — “quote”"),  # only ASCII punctuation goes
        ("the", ""),
    ],
)
def test_answers_are_normalized_as_officially(text, normal):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "f1"),
    [
        ("the Denver Broncos", ["Denver Broncos"], 1, 1),
        ("Broncos", ["Denver Broncos"], 0, 2 / 3),
        ("Denver Denver", ["Denver Broncos"], 0, 1 / 2),
        ("in Denver", ["Oslo", "Denver", "in the city of Denver"], 0, 2 / 3),
        ("Rome", ["Oslo"], 0, 0),
        ("", ["Oslo"], 0, 0),
        ("", [], 1, 1),  # unanswerable, and said so
        ("Oslo", [], 0, 0),
        ("The", ["the"], 1, 1),  # nothing is left of either
        ("Oslo", ["the", "Oslo"], 1, 1),
    ],
)
def test_exact_match_and_f1_of_hand_made_cases(answer, gold, exact, f1):
    assert exact_match(answer, gold) == exact
    assert f1_score(answer, gold) == pytest.approx(f1)


def loop_best(logits: np.ndarray, first: int, count: int, longest: int) -> tuple[float, int, int]:
    found = [
        (logits[s, 0] + logits[e, 1], s, e)
        for s in range(first, first + count)
        for e in range(s, min(s + longest, first + count))
    ]
    return max(found, key=lambda span: span[0])


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_span_is_the_best_of_all_allowed_ones_whatever_the_padding(longest):
    generator = np.random.default_rng(longest)
    counts = generator.integers(1, 15, 40)
    firsts = generator.integers(2, 8, 40)
    logits = generator.normal(size=[40, 24, 2]).astype(np.float32) * 4
    starts, ends, scores, null_scores = spans = best_spans(logits, firsts, counts, longest)
    for window in range(40):
        length = firsts[window] + counts[window] + 1
        total, start, end = loop_best(logits[window], firsts[window], counts[window], longest)
        assert (starts[window], ends[window]) == (start, end)
        norm = np.log(np.exp(logits[window, :length].astype(float)).sum(0)).sum()
        assert scores[window] == pytest.approx(total - norm, abs=1e-4)
        assert null_scores[window] == pytest.approx(logits[window, 0].sum() - norm, abs=1e-4)
    wider = np.pad(logits, [(0, 0), (0, 9), (0, 0)], constant_values=99.0)
    for found, expected in zip(best_spans(wider, firsts, counts, longest), spans, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_window_without_context_has_no_answer():
    _, _, scores, _ = best_spans(np.ones([1, 5, 2], np.float32), np.array([2]), np.array([0]), 30)
    assert scores.tolist() == [-np.inf]


def test_the_window_of_the_highest_score_speaks_for_its_question():
    rows, scores = np.array([4, 4, 0, 4, 0, 9]), np.array([-1.0, -0.5, -3.0, -0.5, -2.0, -np.inf])
    firsts, nothing = np.array([0, 20, 0, 10, 5, 0]), np.zeros(6, np.int64)  # of equals the window that comes first
    nulls = np.array([-0.1, -0.7, -9.0, -0.2, -1.0, -0.4])
    found = Candidates(rows, firsts, nothing, nothing, scores, nulls)
    choice = choose_answers(found, null_answers=False)
    assert choice.windows.tolist() == [4, 3, 5]
    assert choice.given.tolist() == [True, True, False]
    np.testing.assert_allclose(choice.chances, np.exp([-2.0, -0.5, -np.inf]))
    with_null = choose_answers(found, null_answers=True)
    assert with_null.given.tolist() == [True, True, False]  # row 4: one of its windows has a worse null score
    np.testing.assert_allclose(with_null.chances, np.exp([-2.0, -0.5, -0.4]))
    sure = choose_answers(found._replace(null_scores=np.full(6, -0.3)), null_answers=True)
    assert sure.given.tolist() == [False, False, False]
