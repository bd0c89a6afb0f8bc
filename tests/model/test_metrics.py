"""Metrics that see one batch at a time equal scikit-learn's, SciPy's, seqeval's and SQuAD's, however the rows are cut."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn import metrics as sk
from tiny_questions import SpanModel, make_examples, random_table, run
from toy import measure

from bertexp.errors import ConfigError
from bertexp.reports.intervals import accuracy_interval
from bertexp.tasks.classification.task import Classification
from bertexp.tasks.multi_label.task import MultiLabel
from bertexp.tasks.question_answering.answers import exact_match, f1_score
from bertexp.tasks.question_answering.task import QuestionAnswering
from bertexp.tasks.regression.task import Regression
from bertexp.tasks.tagging.task import Tagging

CUTS = (1, 2, 7, 40)
TAGS = ("O", "B-PER", "I-PER", "B-LOC")


def measure_in_parts(task, truth: np.ndarray, logits: np.ndarray, parts: int) -> dict[str, float]:
    """The metrics of rows that come in a random order and in batches of different sizes."""
    generator = np.random.default_rng(parts)
    cuts = np.sort(generator.integers(1, len(truth), parts - 1))
    metrics = task.make_metrics()
    for rows in np.split(generator.permutation(len(truth)), cuts):
        if len(rows):
            metrics.update(truth[rows], logits[rows])
    return metrics.result()


def assert_equal(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    assert {type(value) for value in found.values()} == {float}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("parts", CUTS)
@pytest.mark.parametrize(("classes", "head"), [(2, "sigmoid"), (2, "softmax"), (3, "softmax"), (60, "softmax")])
def test_classification_is_scikit_learns(classes, head, parts):
    generator = np.random.default_rng(classes)
    task = Classification([f"class {index}" for index in range(classes)], head)
    truth = np.concatenate([np.arange(classes), generator.integers(0, classes, 300)]).astype(np.int32)
    logits = (generator.normal(size=(len(truth), task.units)) * 4).astype(np.float32)
    exact = logits.astype(np.float64)
    chances = np.exp(np.concatenate([0 * exact, exact], axis=1) if head == "sigmoid" else exact)
    chances /= chances.sum(axis=1, keepdims=True)
    predicted, average = chances.argmax(axis=1), "binary" if classes == 2 else "macro"
    expected = {
        "loss": sk.log_loss(truth, chances),
        "accuracy": sk.accuracy_score(truth, predicted),
        "precision": sk.precision_score(truth, predicted, average=average, zero_division=0),
        "recall": sk.recall_score(truth, predicted, average=average, zero_division=0),
        "f1": sk.f1_score(truth, predicted, average=average, zero_division=0),
        "mcc": sk.matthews_corrcoef(truth, predicted),
        "roc_auc": sk.roc_auc_score(truth, chances[:, 1] if classes == 2 else chances, multi_class="ovr"),
    }
    assert_equal(measure_in_parts(task, truth, logits, parts), expected)


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_roc_auc_tells_apart_what_float32_probabilities_do_not(head):
    logits = np.array([[18], [20], [-20], [-22]], np.float32)
    truth = np.array([0, 1, 0, 0], np.int32)
    if head == "softmax":
        logits = np.concatenate([0 * logits, logits], axis=1)
    assert measure(Classification(["a", "b"], head), truth, logits)["roc_auc"] == 1
    members = np.array([[0, 1], [1, 0]], np.float32)
    assert measure(MultiLabel(["a", "b"]), members, np.array([[18, 25], [20, 22]], np.float32))["roc_auc"] == 1


def test_roc_auc_of_more_than_a_hundred_classes_is_left_out_and_cannot_be_asked_for():
    names = [str(index) for index in range(101)]
    truth, logits = np.arange(101, dtype=np.int32), np.eye(101, dtype=np.float32)
    members = np.eye(101, dtype=np.float32)
    for task, labels in ((Classification(names), truth), (MultiLabel(names), members)):
        assert "roc_auc" not in measure(task, labels, logits)
        assert task.make_metrics().left_out == "roc_auc is measured for up to 100 classes, and there are 101"
    for kind in (Classification, MultiLabel):
        assert kind(names[:100]).make_metrics().left_out == ""
        with pytest.raises(ConfigError, match=r"task\.main_metric=roc_auc.*up to 100 classes.*101"):
            kind(names, main_metric="roc_auc")


@pytest.mark.parametrize("parts", CUTS)
def test_sets_of_classes_are_scikit_learns(parts):
    generator = np.random.default_rng(0)
    task = MultiLabel([str(index) for index in range(6)], threshold=0.4)
    truth = (generator.random((200, 6)) < 0.3).astype(np.float32)
    truth[:, 5] = 0  # a class that never occurs has no ROC
    logits = (generator.normal(size=(200, 6)) * 3).astype(np.float32)
    chances = 1 / (1 + np.exp(-logits.astype(np.float64)))
    given = chances >= 0.4
    expected = {
        "loss": np.mean([sk.log_loss(truth[:, index], chances[:, index], labels=[0, 1]) for index in range(6)]),
        "f1": sk.f1_score(truth, given, average="micro"),
        "f1_macro": sk.f1_score(truth, given, average="macro", zero_division=0),
        "precision": sk.precision_score(truth, given, average="micro"),
        "recall": sk.recall_score(truth, given, average="micro"),
        "exact_match": sk.accuracy_score(truth, given),
        "roc_auc": sk.roc_auc_score(truth[:, :5], chances[:, :5], average="macro"),
    }
    assert_equal(measure_in_parts(task, truth, logits, parts), expected)


@pytest.mark.parametrize("parts", CUTS)
def test_numbers_are_scipys(parts):
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 9, 150).astype(np.float32)  # with ties
    logits = (truth[:, None] + generator.normal(size=(150, 1)) * 3).astype(np.float32)
    expected = {
        "loss": sk.mean_squared_error(truth, logits[:, 0]),
        "rmse": sk.root_mean_squared_error(truth, logits[:, 0]),
        "mae": sk.mean_absolute_error(truth, logits[:, 0]),
        "pearson": stats.pearsonr(truth, logits[:, 0])[0],
        "spearman": stats.spearmanr(truth, logits[:, 0])[0],
    }
    assert_equal(measure_in_parts(Regression(), truth, logits, parts), expected)
    constant = measure(Regression(), truth, np.ones_like(logits))
    assert (constant["pearson"], constant["spearman"]) == (0.0, 0.0)


@pytest.mark.parametrize("parts", CUTS)
def test_tags_are_seqevals(parts):
    generator = np.random.default_rng(0)
    truth = generator.integers(0, len(TAGS), (80, 12)).astype(np.int32)
    truth[generator.random(truth.shape) < 0.4] = -1
    logits = generator.normal(size=(80, 10, len(TAGS))).astype(np.float32)
    logits[np.arange(80) % 3 > 0] += 4 * (truth[np.arange(80) % 3 > 0, :10, None] == np.arange(len(TAGS)))
    true, predicted, losses = [], [], []
    for row in range(80):
        words = np.flatnonzero(truth[row] >= 0)
        true.append([TAGS[truth[row, place]] for place in words])
        predicted.append([TAGS[logits[row, place].argmax()] if place < 10 else "O" for place in words])
        for place in words[words < 10]:
            scores = logits[row, place].astype(np.float64)
            losses.append(np.log(np.exp(scores).sum()) - scores[truth[row, place]])
    report = classification_report(true, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    expected = {
        "loss": np.mean(losses),
        "f1": report["micro avg"]["f1-score"],
        "precision": report["micro avg"]["precision"],
        "recall": report["micro avg"]["recall"],
        "accuracy": np.mean([a == b for pair in zip(true, predicted, strict=True) for a, b in zip(*pair, strict=True)]),
    }
    assert 0.1 < expected["f1"] < 0.9
    assert_equal(measure_in_parts(Tagging(TAGS), truth, logits, parts), expected)


@pytest.mark.parametrize("parts", CUTS)
@pytest.mark.parametrize("null_answers", [False, True])
def test_a_question_whose_windows_lie_in_several_batches_has_the_best_of_their_answers(parts, null_answers):
    table = random_table(60, answerable=0.7)
    examples = make_examples(table)
    truth, logits = examples.truth(np.arange(len(examples.lengths))), run(SpanModel(), examples)
    assert np.bincount(examples.source_rows).max() > 5
    losses, best, null = [], {}, {}
    for window, scores in zip(truth, logits.astype(np.float64), strict=True):
        after = window.first + len(window.begins)
        likely = scores[: after + 1] - np.log(np.exp(scores[: after + 1]).sum(axis=0))
        losses.append(-(likely[window.start, 0] + likely[window.end, 1]) / 2)
        null[window.row] = min(null.get(window.row, math.inf), likely[0].sum())
        for start in range(window.first, after):
            for end in range(start, min(start + 4, after)):
                content = window.context.encode()[window.begins[start - window.first] : window.ends[end - window.first]]
                found = (likely[start, 0] + likely[end, 1], content.decode())
                best[window.row] = max(best.get(window.row, found), found, key=lambda one: one[0])
    gold = [[answer["text"] for answer in answers] for answers in table["label"].to_pylist()]
    answers = ["" if null_answers and null[row] > best[row][0] else best[row][1] for row in range(60)]
    expected = {
        "f1": np.mean(list(map(f1_score, answers, gold))),
        "exact_match": np.mean(list(map(exact_match, answers, gold))),
        "loss": np.mean(losses),
    }
    assert_equal(measure_in_parts(QuestionAnswering(4, null_answers), truth, logits, parts), expected)


def test_thirty_thousand_classes_keep_counts_and_not_probabilities():
    classes, batch = 30_000, 16
    generator = np.random.default_rng(0)
    metrics = Classification([""] * classes).make_metrics()
    truth = generator.integers(0, classes, batch).astype(np.int32)
    logits = generator.normal(size=(batch, classes)).astype(np.float32)
    logits[np.arange(0, batch, 2), truth[::2]] = 30.0
    tracemalloc.start()
    for _ in range(20):
        metrics.update(truth, logits)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1e5
    assert peak < 5 * logits.nbytes
    found = metrics.result()
    assert found["accuracy"] == 0.5
    expected = sk.precision_recall_fscore_support(
        np.tile(truth, 20), np.tile(logits.argmax(1), 20), average="macro", labels=range(classes), zero_division=0
    )
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    low, high = accuracy_interval(metrics.confusions)
    assert low < 0.5 < high
