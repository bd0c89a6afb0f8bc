"""Metrics against their definitions, and pictures of every size."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, matthews_corrcoef

from bertexp.interfaces import EncoderLayers
from bertexp.models.source.architecture import BertArchitecture
from bertexp.reports.confusions import Confusions, accuracy_of, count_confusions, f1_of, matthews_of
from bertexp.reports.intervals import accuracy_interval
from bertexp.reports.pictures.figures import (
    draw_confusion_matrix,
    draw_curves,
    draw_learning_rate,
    draw_model,
)
from bertexp.reports.pictures.model_boxes import make_boxes
from bertexp.tasks.registry import find_task


def make_rows(classes: int, rows: int = 800) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, rows)
    return labels, np.where(random.random(rows) < 0.8, labels, random.integers(0, classes, rows))


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 3000


@pytest.mark.parametrize("classes", [2, 5])
def test_metrics_of_counts_equal_scikit_learn(classes):
    labels, predictions = make_rows(classes)
    counts = count_confusions(labels, predictions, classes).marginals()
    assert f1_of(counts) == pytest.approx(f1_score(labels, predictions, average="binary" if classes == 2 else "macro"))
    assert matthews_of(counts) == pytest.approx(matthews_corrcoef(labels, predictions))


def test_matthews_of_a_constant_answer_is_zero():
    assert matthews_of(count_confusions([0] * 5 + [1] * 7, [1] * 12, 2).marginals()) == 0


@pytest.mark.parametrize("classes", [2, 5, 150])
def test_confusions_are_the_same_in_batches_and_leave_out_unknown_rows(classes):
    labels, predictions = make_rows(classes)
    labels[::9] = -1
    whole, parts = count_confusions(labels, predictions, classes), Confusions(classes)
    for rows in np.array_split(np.random.default_rng(0).permutation(len(labels)), 6):
        parts.add(labels[rows], predictions[rows])
    expected = confusion_matrix(labels[labels >= 0], predictions[labels >= 0], labels=range(classes))
    for confusions in (whole, parts):
        np.testing.assert_array_equal(confusions.matrix(), expected)
        np.testing.assert_array_equal(confusions.matrix(np.array([1, 0])), expected[1::-1, 1::-1])
        found = confusions.marginals()
        np.testing.assert_array_equal(found.hits, expected.diagonal())
        np.testing.assert_array_equal(found.true, expected.sum(1))
        np.testing.assert_array_equal(found.predicted, expected.sum(0))
    low, high = accuracy_interval(whole)
    assert (low, high) == accuracy_interval(parts)
    assert low < accuracy_of(found) < high


@pytest.mark.parametrize("classes", [2, 77, 2000])
def test_confusion_matrix_of_any_size(tmp_path, classes):
    labels, predictions = make_rows(classes)
    names = [f"a_rather_long_name_of_a_class_{i}" for i in range(classes)]
    assert is_picture(
        draw_confusion_matrix(count_confusions(labels, predictions, classes), names, tmp_path / "new" / "matrix.png")
    )


def test_curves_of_long_short_and_broken_runs(tmp_path):
    long = [(step, {"train/loss": 1 / step, "epoch": 1.0}) for step in range(1, 400)]
    long += [(100, {"val/loss": 0.5, "val/accuracy": 0.7}), (200, {"val/loss": float("nan"), "val/accuracy": 0.5})]
    assert is_picture(draw_curves(long, tmp_path / "long.png", best_step=100))
    assert is_picture(draw_curves([(1, {"train/loss": 0.7})], tmp_path / "short.png"))
    assert is_picture(draw_learning_rate([(1, 1e-5), (2, 3e-5), (3, 0.0)], tmp_path / "rate.png"))


def make_layer(shape: tuple[int, ...], learns: bool) -> SimpleNamespace:
    weights = [np.empty(shape, np.int8)]
    return SimpleNamespace(weights=weights, trainable_weights=weights if learns else [])


def test_the_model_plot_tells_trained_from_frozen_layers_and_counts_every_weight(tmp_path):
    layers = [make_layer((10, 10), learns) for learns in (False, False, False, True)]
    encoder = SimpleNamespace(layers=EncoderLayers([make_layer((1000, 8), False)], layers, make_layer((8, 8), True)))
    dense = SimpleNamespace(**vars(make_layer((8, 1), True)), kernel=np.empty((8, 1)))
    model = SimpleNamespace(
        encoder=encoder, pooling="pooler", pool=None, head=SimpleNamespace(dense=dense, dropout=0.1)
    )
    parts = SimpleNamespace(
        dataset=SimpleNamespace(has_pair=False, label_names=("negative", "positive")),
        loaded=SimpleNamespace(vocab=("[PAD]",) * 1000, architecture=BertArchitecture(1000, 8, 4, 2, 32)),
        task=SimpleNamespace(units=1, label_names=("negative", "positive"), spec=find_task("classification")),
        module=SimpleNamespace(model=model),
        data=SimpleNamespace(config=SimpleNamespace(max_length=128)),
    )
    rows = make_boxes(parts)
    assert sum(row.parameters for row in rows if row.trained) == 100 + 64 + 8
    assert sum(row.parameters for row in rows if not row.trained) == 8000 + 300
    assert [(row.repeat, row.trained) for row in rows if row.name == "transformer layer"] == [(3, False), (1, True)]
    assert is_picture(draw_model(rows, tmp_path / "model.png"))
