"""Entity scores: those of seqeval."""

from __future__ import annotations

import numpy as np
import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import BILOU, IOB2, IOBES
from toy import measure

from bertexp.reports.statistics import f1_of_sums
from bertexp.tasks.tagging.task import Tagging, count_entities, entity_sets

TAGS = {
    "IOB2": ["O", "B-PER", "I-PER", "B-creative-work", "I-creative-work"],
    "IOBES": ["O", "B-PER", "I-PER", "E-PER", "S-PER", "S-LOC", "B-LOC", "E-LOC"],
    "BILOU": ["O", "B-PER", "I-PER", "L-PER", "U-PER"],
    "IOB2 without types": ["O", "B", "I"],
}


def scores_of(counts: np.ndarray) -> list[float]:
    """Precision, recall and F1 of entities found, predicted and true ones."""
    hits, given, there = counts
    return [hits / max(given, 1), hits / max(there, 1), float(f1_of_sums(counts))]


@pytest.mark.parametrize("scheme", TAGS)
def test_scores_of_any_tags_are_seqevals(scheme):
    strict = {"mode": "strict", "scheme": {"IOBES": IOBES, "BILOU": BILOU}.get(scheme, IOB2), "zero_division": 0}
    generator = np.random.default_rng(0)
    for _ in range(30):
        lengths = generator.integers(1, 9, 20)
        true, predicted = ([generator.choice(TAGS[scheme], n).tolist() for n in lengths] for _ in range(2))
        predicted[0] = true[0] = TAGS[scheme][1:]
        counts = count_entities(true, predicted, TAGS[scheme])
        found = scores_of(counts.sum((0, 1)))
        expected = [score(true, predicted, **strict) for score in (precision_score, recall_score, f1_score)]
        np.testing.assert_allclose(found, expected)
        by_type = f1_of_sums(counts.sum(0)[counts[..., 2].sum(0) + counts[..., 1].sum(0) > 0])
        np.testing.assert_allclose(by_type, f1_score(true, predicted, average=None, **strict))


def test_an_entity_counts_only_with_its_type_and_both_bounds():
    true = [["B-PER", "I-PER", "O", "B-creative-work"]]
    for predicted, hits, given in (
        (true[0], 2, 2),
        (["B-PER", "O", "O", "B-creative-work"], 1, 2),
        (["B-PER", "I-PER", "O", "B-PER"], 1, 2),
        (["I-PER", "I-PER", "O", "O"], 0, 0),
        (["O"] * 4, 0, 0),
    ):
        assert count_entities(true, [predicted], TAGS["IOB2"]).sum((0, 1)).tolist() == [hits, given, 2]


def test_of_tags_without_a_scheme_every_word_counts():
    assert entity_sets([["NN", "O", "NN"]], None) == [{("NN", 0, 1), ("NN", 2, 3)}]
    counts = count_entities([["NN", "VB", "NN"]], [["NN", "NN", "NN"]], ["NN", "VB"]).sum((0, 1))
    assert scores_of(counts) == pytest.approx([2 / 3] * 3)


def test_nothing_found_is_no_division_by_zero():
    logits = np.zeros((1, 3, 3), np.float32)
    logits[..., 0] = 1.0
    found = measure(Tagging(TAGS["IOB2"][:3]), np.array([[-1, 0, -1]], np.int32), logits)
    assert (found["precision"], found["recall"], found["f1"], found["accuracy"]) == (0.0, 0.0, 0.0, 1.0)
