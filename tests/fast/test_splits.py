"""Splits, the fingerprint and the summary: what is computed from canonical tables alone."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.splits import draw, hold_out
from bertexp.data.summary import Sample, count_in_training, summarize
from bertexp.data.table import TextDataset, make_fingerprint


def test_a_held_out_split_keeps_shares_and_order_and_depends_on_the_seed_only():
    labels = pa.array([0] * 60 + [1] * 30 + [2] * 10, pa.int32())
    table = pa.table({"text": [str(i) for i in range(100)], "label": labels})
    config = DatasetConfig()
    splits = hold_out(table, {"test": 0.2, "val": 0.1}, "abc", config)
    assert {split: len(held) for split, held in splits.items()} == {"train": 70, "test": 20, "val": 10}
    assert [np.bincount(splits[s]["label"]).tolist() for s in splits] == [[42, 21, 7], [12, 6, 2], [6, 3, 1]]
    numbers = {split: [int(text) for text in held["text"].to_pylist()] for split, held in splits.items()}
    assert sorted(number for held in numbers.values() for number in held) == list(range(100))
    assert all(held == sorted(held) for held in numbers.values())
    assert hold_out(table, {"test": 0.2, "val": 0.1}, "abc", config)["val"] == splits["val"]
    assert hold_out(table, {"test": 0.2, "val": 0.1}, "abc", DatasetConfig(split_seed=1))["val"] != splits["val"]


def test_a_table_of_many_chunks_is_cut_at_the_same_rows():
    table = pa.table({"text": [str(i) for i in range(100)], "label": pa.array([0, 1] * 50, pa.int32())})
    chunked = pa.concat_tables([table.slice(begin, 7) for begin in range(0, 100, 7)])
    cut = [hold_out(one, {"test": 0.2}, "ab", DatasetConfig()) for one in (table, chunked)]
    assert cut[0] == cut[1]


def test_the_drawn_rows_stay_the_same_in_every_version():
    assert draw(np.array([0, 1] * 10), 6, seed=42).tolist() == [1, 4, 8, 10, 15, 17]


def test_the_fingerprint_sees_content_and_nothing_else():
    table = pa.table({"text": ["a", "bc", "", "dé"], "label": pa.array([0, 1, 0, 1], pa.int32())})
    expected = make_fingerprint({"train": table}, ["x", "y"])
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1)])
    padded = pa.concat_tables([table, table]).combine_chunks().slice(4)
    large = table.cast(pa.schema([("text", pa.large_string()), ("label", pa.int32())]))
    assert {make_fingerprint({"train": same}, ["x", "y"]) for same in (chunked, padded, large)} == {expected}
    assert len(expected) == 16
    shifted = pa.table({"text": ["ab", "c", "", "dé"], "label": table["label"]})
    others = [({"train": shifted}, ["x", "y"]), ({"train": table}, ["y", "x"]), ({"test": table}, ["x", "y"])]
    assert expected not in {make_fingerprint(*other) for other in others}


def test_the_look_shows_sizes_classes_lengths_and_samples():
    table = pa.table({"text": ["good film"] * 200, "label": pa.array([0] * 150 + [1] * 50, pa.int32())})
    unlabelled = table.slice(0, 10).set_column(1, "label", pa.array([-1] * 10, pa.int32()))
    dataset = TextDataset(
        "files", "classification", {"train": table, "test": unlabelled}, ("bad", "good"), False, "f" * 16, {}, "x.csv"
    )
    lengths = {"train": np.arange(1, 201), "test": np.full(10, 5)}
    sample = Sample("good film", None, "good", ["[CLS]", "good", "film", "[SEP]", "[PAD]"], [1] * 4 + [0], [0] * 5)
    summary = summarize(dataset, lengths, 128, [sample] * 3, trained_parameters=20_000_000, pretrained=True)
    text = summary.text()
    assert len(text.splitlines()) <= 25
    assert max(map(len, text.splitlines())) <= 120
    train = next(line.split() for line in text.splitlines() if line.startswith("train"))
    assert train == ["train", "200", "75.0%", "25.0%", "101", "181", "199", "200", "36.0%"]
    assert "no label" in text
    assert "10 of 10 rows of test have the text of a training row" in text
    assert "rows of train have" not in text
    assert "[CLS] good film [SEP]\n  mask     1x4 0x1" in text
    assert "trainable=frozen" in summary.recommendation
    assert json.loads(json.dumps(summary.as_dict()))["splits"]["train"]["class_rows"] == {"bad": 150, "good": 50}
    for parameters, pretrained in ((1_000, True), (20_000_000, False)):
        assert summarize(dataset, lengths, 128, [], parameters, pretrained).recommendation is None


def chunked(rows: list, kind: pa.DataType) -> pa.ChunkedArray:
    """``rows`` in two chunks, the second one a slice, as tables that were filtered and mapped have them."""
    middle = len(rows) // 2
    return pa.chunked_array([pa.array(rows[:middle], kind), pa.array([rows[0], *rows], kind).slice(1 + middle)])


TRAINED = [("a", "x"), ("a", "y"), ("b", "x"), ("c", "z"), ("a", "x")]
HELD_OUT = [("a", "x"), ("b", "y"), ("b", "x"), ("d", "x"), ("a", "x"), ("", "x"), ("c", "z")]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.large_list(pa.int32())])
@pytest.mark.parametrize(("columns", "shared"), [(("text",), 5), (("text", "text_pair"), 4)])
def test_held_out_rows_whose_texts_are_all_those_of_one_training_row_are_counted(kind, columns, shared):
    def table(rows):
        if pa.types.is_large_list(kind):
            rows = [[[*map(ord, cell)] for cell in row] for row in rows]
        return pa.table({name: chunked([row[place] for row in rows], kind) for place, name in enumerate(columns)})

    held_out, trained = table(HELD_OUT), table(TRAINED)
    assert count_in_training(held_out, trained) == shared
    assert count_in_training(held_out.slice(3, 3), trained.slice(0, 3)) == 1
    assert count_in_training(held_out.slice(3, 1), trained) == 0
