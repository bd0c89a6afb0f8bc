"""What a limit of batches judges by: rows that the seed draws, whole questions, and not the longest texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tiny_export import VOCAB
from tiny_questions import VOCAB as QUESTION_VOCAB
from tiny_questions import random_table

from bertexp.config.schema import DatasetConfig
from bertexp.data.examples.loaders import EvalLoader
from bertexp.data.examples.module import DataModule
from bertexp.data.splits import make_dataset
from bertexp.data.table import TextDataset
from bertexp.data.tokens.tokenizer import Tokenizer

CLASSES = ("short", "long")


def texts(**settings) -> DataModule:
    """A hundred texts of 1 to 100 words, whose label is whether they are long; ten in a batch."""
    labels = pa.array([int(row >= 50) for row in range(100)], pa.int32())
    table = pa.table({"text": ["good " * (row + 1) for row in range(100)], "label": labels})
    config = DatasetConfig(**settings)
    dataset = make_dataset(config, "classification", {"train": table, "val": table}, CLASSES, "")
    return DataModule(dataset, Tokenizer(VOCAB, True), config, eval_batch_size=10)


def questions() -> DataModule:
    """Questions whose contexts take 1 to 20 windows; eight windows in a batch."""
    table = random_table(60)
    dataset = TextDataset("squad", "question_answering", dict.fromkeys(("train", "val"), table), (), True, "f", {}, "")
    config = DatasetConfig(max_length=40, window_overlap=10)
    return DataModule(dataset, Tokenizer(QUESTION_VOCAB, True), config, 8, 8)


def rows_of(loader: EvalLoader) -> np.ndarray:
    return loader.source_rows(loader.indices())


def test_rows_are_drawn_by_the_seed_and_then_sorted():
    loader = texts().eval_loader("val", limit_batches=3)
    rows = rows_of(loader)
    assert (len(loader), len(set(rows))) == (3, 30)
    assert (rows >= 50).sum() == 15
    assert (np.diff(rows) < 0).all()  # the longest first
    assert rows_of(texts().eval_loader("val", limit_batches=3)).tolist() == rows.tolist()
    assert set(rows_of(texts(split_seed=7).eval_loader("val", limit_batches=3))) != set(rows)


def test_a_limit_above_what_there_is_changes_nothing():
    data = texts()
    assert rows_of(data.eval_loader("val", limit_batches=10)).tolist() == rows_of(data.eval_loader("val")).tolist()
    assert len(data.eval_loader("val", limit_rows=20, limit_batches=1)) == 1
    assert len(rows_of(data.eval_loader("val", limit_rows=5, limit_batches=1))) == 5


@pytest.mark.parametrize("limit", [1, 2, 7, 30])
def test_no_more_batches_come_of_long_texts_in_windows(limit):
    loader = texts(max_length=8, long_text="windows").eval_loader("val", limit_batches=limit)
    assert 1 <= len(loader) <= limit
    assert len(rows_of(loader)) >= limit  # a row fills a batch at most


@pytest.mark.parametrize("limit", [3, 9])
def test_a_question_is_judged_by_all_of_its_windows(limit):
    data = questions()
    loader, all_rows = data.eval_loader("val", limit_batches=limit), rows_of(data.eval_loader("val"))
    rows, windows = np.unique(rows_of(loader), return_counts=True)
    assert 1 <= len(rows) < 60
    assert len(loader) <= limit or len(rows) == 1
    assert windows.tolist() == [(all_rows == row).sum() for row in rows]


def test_one_question_is_judged_whole_even_if_it_takes_more_batches_than_the_limit():
    table = random_table(60).slice(5, 1)
    dataset = TextDataset("squad", "question_answering", dict.fromkeys(("train", "val"), table), (), True, "f", {}, "")
    data = DataModule(dataset, Tokenizer(QUESTION_VOCAB, True), DatasetConfig(max_length=40, window_overlap=10), 8, 2)
    assert len(data.eval_loader("val", limit_batches=1)) == len(data.eval_loader("val")) > 1


def test_the_few_rows_to_overfit_are_whole_questions_too():
    data = questions()
    trained = np.concatenate(data.train_loader(limit_rows=16).order(0))
    judged = data.eval_loader("train", limit_rows=16)
    assert len(trained) == len(judged.indices())
    all_rows = rows_of(data.eval_loader("train"))
    rows, windows = np.unique(rows_of(judged), return_counts=True)
    assert windows.tolist() == [(all_rows == row).sum() for row in rows]
