"""Batch order: whole, repeatable, resumable, and with little padding."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from toy import ToyData

from bertexp.data.examples.loaders import TrainLoader, make_eval_order, make_train_order
from bertexp.data.tokens.packing import Shape, TokenColumn, pack_batch, packed_lengths

LENGTHS = np.random.default_rng(0).integers(5, 128, 1000).astype(np.int32)


@pytest.mark.parametrize("grouped", [True, False])
def test_an_epoch_holds_every_row_once_and_depends_on_seed_and_epoch_alone(grouped):
    order = make_train_order(LENGTHS, 32, seed=1, epoch=0, group_by_length=grouped)
    assert sorted(np.concatenate(order)) == list(range(1000))
    assert [len(batch) for batch in order].count(32) == 31
    again = make_train_order(LENGTHS, 32, seed=1, epoch=0, group_by_length=grouped)
    assert all((a == b).all() for a, b in zip(order, again, strict=True))
    for seed, epoch in ((2, 0), (1, 1)):
        other = make_train_order(LENGTHS, 32, seed, epoch, grouped)
        assert any(len(a) != len(b) or (a != b).any() for a, b in zip(order, other, strict=True))


def padded_pieces(order: list[np.ndarray]) -> int:
    return sum(LENGTHS[rows].max() * len(rows) for rows in order)


def test_grouping_by_length_leaves_little_padding_and_mixes_lengths_over_time():
    grouped = make_train_order(LENGTHS, 32, 1, 0)
    assert padded_pieces(grouped) < 1.08 * LENGTHS.sum()
    assert padded_pieces(make_train_order(LENGTHS, 32, 1, 0, group_by_length=False)) > 1.7 * LENGTHS.sum()
    widths = [LENGTHS[rows].max() for rows in grouped]
    assert abs(np.corrcoef(widths, np.arange(len(widths)))[0, 1]) < 0.5


def test_evaluation_goes_from_long_to_short():
    widths = [LENGTHS[rows].max() for rows in make_eval_order(LENGTHS, 64, 128)]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 16


def test_evaluation_batches_of_texts_in_many_windows_are_bounded():
    lengths = np.array([20, 700, 90, 6000, 30, 260])
    order = make_eval_order(lengths, 4, 128)
    assert [batch.tolist() for batch in order] == [[3], [1], [5, 2, 4, 0]]


def test_training_batches_of_texts_in_many_windows_come_in_bounded_parts():
    lengths = np.random.default_rng(0).integers(5, 1500, 203).astype(np.int32)
    examples = SimpleNamespace(lengths=lengths, spec={"rows": tf.TensorSpec([None], tf.int64)},
                               label_spec=tf.TensorSpec([None], tf.int64), pack=lambda rows: ({"rows": rows}, rows))  # fmt: skip
    loader = TrainLoader(examples, 8, 128, seed=1)
    for epoch in range(2):
        batches, waiting = [], []
        for _, rows, complete in loader.epoch(epoch):
            rows = rows.numpy()
            assert lengths[rows].sum() <= 8 * 128 or len(rows) == 1
            waiting.append(rows)
            if complete:
                batches.append(waiting)
                waiting = []
        whole = make_train_order(lengths, 8, 1, epoch)
        assert len(batches) == len(whole) == len(loader)
        assert [np.concatenate(parts).tolist() for parts in batches] == [rows.tolist() for rows in whole]
        rest = [rows.numpy() for _, rows, _ in loader.epoch(epoch, start=7)]
        assert [rows.tolist() for rows in rest] == [part.tolist() for parts in batches[7:] for part in parts]
        assert max(map(len, batches)) > 4


def test_a_loader_continues_inside_an_epoch():
    loader = ToyData().train_loader()
    whole = [labels.numpy() for _, labels, _ in loader.epoch(3)]
    rest = [labels.numpy() for _, labels, _ in loader.epoch(3, start=5)]
    assert len(whole) == len(loader) == 8
    assert all((a == b).all() for a, b in zip(whole[5:], rest, strict=True))


def test_an_epoch_of_any_lengths_has_a_bounded_number_of_shapes():
    """Each shape is compiled once more, by oneDNN on a CPU and by XLA on a GPU."""
    offsets = np.concatenate([[0], np.cumsum(np.arange(4000) % 200)])
    column = TokenColumn(np.ones(offsets[-1], np.int32), offsets)
    lengths = packed_lengths([column], 128)
    shapes = {
        pack_batch([column], rows, Shape(128), (1, 2, 0))["input_word_ids"].shape
        for epoch in range(3)
        for rows in make_train_order(lengths, 4, 1, epoch)
    }
    assert 48 < len(shapes) <= 64
