"""The packaged rows of `debug=fast`: in the form of the data set that they stand in for."""

from __future__ import annotations

import pyarrow as pa
import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.locate import locate_dataset
from bertexp.data.sets.glue.locate import GLUE
from bertexp.data.sets.samples import make_samples
from bertexp.data.table import is_labelled


@pytest.mark.parametrize(
    ("name", "task", "has_pair", "classes"),
    [
        ("imdb", "classification", False, 2),
        ("banking77", "classification", False, 77),
        *(
            (
                name,
                "classification" if glue.label_names else "regression",
                glue.columns.text_pair is not None,
                len(glue.label_names),
            )
            for name, glue in GLUE.items()
        ),
        ("tfrecord", "multi_label", False, 2),
        ("tfrecord", "regression", False, 0),
        ("xquad", "question_answering", True, 0),
        ("wnut17", "tagging", False, 3),
    ],
)
def test_there_are_64_labelled_rows_a_split_with_the_columns_and_classes(name, task, has_pair, classes):
    dataset = make_samples(DatasetConfig(name=name), task)
    assert (dataset.name, dataset.task, dataset.has_pair, len(dataset.label_names)) == (name, task, has_pair, classes)
    assert {split: table.num_rows for split, table in dataset.splits.items()} == dict.fromkeys(
        ("train", "val", "test"), 64
    )
    assert all(is_labelled(table) for table in dataset.splits.values())
    kinds = {"multi_label": pa.types.is_list, "regression": pa.types.is_floating, "classification": pa.types.is_integer}
    assert kinds.get(task, pa.types.is_list)(dataset.splits["train"].schema.field("label").type)
    if task == "classification":
        assert len(dataset.splits["train"]["label"].unique()) == min(classes, 64)
    assert make_samples(DatasetConfig(name=name), task).fingerprint == dataset.fingerprint


def test_tags_mark_names_word_by_word():
    table = make_samples(DatasetConfig(name="wnut17"), "tagging").splits["train"]
    assert table.schema.field("label").type == pa.list_(pa.int32())
    spans = []
    for words, text, tags in zip(*(table[name].to_pylist() for name in ("words", "text", "label")), strict=True):
        assert len(words) == len(tags)
        assert text == " ".join(words)
        assert all(tags[place - 1] in (1, 2) for place, tag in enumerate(tags) if tag == 2)
        spans += [word for word, tag in zip(words, tags, strict=True) if tag]
    assert len(spans) > 64
    assert all(word[0].isupper() for word in spans)


@pytest.mark.parametrize(("name", "unanswerable"), [("xquad", 0), ("squad_v2", 16)])
def test_answers_stand_where_they_say(name, unanswerable):
    table = make_samples(DatasetConfig(name=name), "question_answering").splits["test"]
    answers = table["label"].to_pylist()
    assert sum(not found for found in answers) == unanswerable
    for context, found in zip(table["text_pair"].to_pylist(), answers, strict=True):
        for answer in found:
            assert context[answer["start"] :].startswith(answer["text"])


def test_a_rehearsal_needs_no_data_but_takes_a_users_own(tmp_path):
    config = DatasetConfig(name="mrpc", path="nowhere", submission=False)
    source = locate_dataset(config, str(tmp_path), rehearsal=True)
    assert source.urls == ()
    assert source.load().splits["train"].num_rows == 64
    (tmp_path / "train.csv").write_text("text,label\n" + "a fine film,good\na bad film,bad\n" * 20)
    own = DatasetConfig(name="files", path=str(tmp_path), limit_train=10)
    dataset = locate_dataset(own, str(tmp_path), rehearsal=True).load()
    assert dataset.label_names == ("bad", "good")
    assert dataset.splits["train"].num_rows == 10
