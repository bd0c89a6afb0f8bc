"""The tagging task: loss, metrics and decoding against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from toy import measure

from bertexp.tasks.tagging.task import Tagging

TAGS = ("O", "B-PER", "I-PER", "B-LOC")


def random_batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels <int32>[6, 9] with places that do not count, and logits."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(TAGS), (6, 9)).astype(np.int32)
    labels[generator.random(labels.shape) < 0.4] = -1
    return labels, generator.normal(size=(6, 9, len(TAGS))).astype(np.float32)


def test_loss_score_and_weights_are_sums_over_each_rows_labelled_places():
    task = Tagging(TAGS)
    labels, logits = random_batch(0)
    losses, scores = np.zeros(6), np.zeros(6)
    for row, place in np.argwhere(labels >= 0):
        chances = np.exp(logits[row, place]) / np.exp(logits[row, place]).sum()
        losses[row] -= np.log(chances[labels[row, place]])
        scores[row] += chances.argmax() == labels[row, place]
    np.testing.assert_allclose(task.loss(tf.constant(labels), tf.constant(logits)), losses, rtol=1e-5)
    np.testing.assert_allclose(task.score(tf.constant(labels), tf.constant(logits)), scores)
    np.testing.assert_allclose(task.weights(tf.constant(labels)), (labels >= 0).sum(1))
    found = measure(task, labels, logits)
    assert found["loss"] == pytest.approx(losses.sum() / (labels >= 0).sum(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(scores.sum() / (labels >= 0).sum())


def test_metrics_are_seqevals_and_words_that_were_cut_count_as_outside():
    task = Tagging(TAGS)
    for seed in range(5):
        labels, logits = random_batch(seed)
        cut = np.random.default_rng(seed).integers(0, len(TAGS), (6, 2)).astype(np.int32)
        truth = np.concatenate([labels, np.full((6, 3), -1, np.int32), cut], axis=1)
        true = [[TAGS[tag] for tag in row if tag >= 0] for row in truth]
        best = logits.argmax(-1)
        predicted = [
            [TAGS[best[row, place]] for place in np.flatnonzero(labels[row] >= 0)] + ["O", "O"] for row in range(6)
        ]
        assert task.decode(truth, logits) == (true, predicted)
        found = measure(task, truth, logits)
        assert found["f1"] == pytest.approx(f1_score(true, predicted, mode="strict", scheme=IOB2, zero_division=0))
        pairs = [pair for a, b in zip(true, predicted, strict=True) for pair in zip(a, b, strict=True)]
        assert found["accuracy"] == pytest.approx(np.mean([a == b for a, b in pairs]))


def test_words_without_a_known_tag_are_predicted_all_the_same():
    logits = np.zeros((1, 4, len(TAGS)), np.float32)
    logits[0, 1, 1] = logits[0, 2, 2] = 1.0
    truth = np.array([[-1, -2, -2, -1]], np.int32)
    assert Tagging(TAGS).decode(truth, logits) == ([["", ""]], [["B-PER", "I-PER"]])
