"""Loss, decoding and metrics of classification, on numbers small enough to check by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from toy import measure

from bertexp.tasks.classification.task import Classification

YES_NO = Classification(("no", "yes"))


def test_one_logit_is_the_log_odds_of_the_second_class():
    logits = np.array([[0.0], [math.log(3.0)], [-1000.0]], np.float32)
    np.testing.assert_allclose(YES_NO.probabilities(logits), [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]], atol=1e-6)
    loss = YES_NO.loss(tf.constant([1, 1, 0]), tf.constant(logits)).numpy()
    np.testing.assert_allclose(loss, [math.log(2), math.log(4 / 3), 0.0], atol=1e-6)


def test_two_logits_and_one_logit_agree():
    softmax = Classification(("no", "yes"), binary_head="softmax")
    assert (YES_NO.units, softmax.units) == (1, 2)
    generator = np.random.default_rng(0)
    two = generator.normal(size=(50, 2)).astype(np.float32)
    one = two[:, 1:] - two[:, :1]
    labels = generator.integers(0, 2, 50).astype(np.int32)
    np.testing.assert_allclose(softmax.probabilities(two), YES_NO.probabilities(one), atol=1e-6)
    for name, value in measure(softmax, labels, two).items():
        assert measure(YES_NO, labels, one)[name] == pytest.approx(value, abs=1e-6), name


def test_binary_metrics_by_hand():
    logits = np.array([[2.0], [1.0], [-1.0], [-2.0], [3.0]], np.float32)
    labels = np.array([1, 0, 1, 0, 1], np.int32)  # 2 hits, 1 false alarm, 1 miss, 1 true rejection
    found = measure(YES_NO, labels, logits)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["mcc"] == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    assert found["roc_auc"] == pytest.approx(5 / 6)


def test_three_classes_are_averaged_and_a_missing_class_has_no_roc_auc():
    task = Classification(("a", "b", "c"))
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]] * 5
    found = measure(task, np.array([0, 1, 2, 1], np.int32), logits)
    assert found["accuracy"] == 0.75
    assert found["f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert "roc_auc" not in measure(task, np.array([0, 1, 1, 1], np.int32), logits)
    assert task.score(tf.constant([0, 1, 2, 1]), tf.constant(logits)).numpy().tolist() == [1, 1, 1, 0]
