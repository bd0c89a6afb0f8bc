"""Encoded rows without TensorFlow: what is taken off them, and which files belong to which split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from record_files import rows_of, write_file

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.dataset import spell
from bertexp.data.encoded.encoding import cut_into_shards, find_shards
from bertexp.data.encoded.records import read_split
from bertexp.errors import DataError


def test_padding_and_special_tokens_go_and_rows_keep_their_order(tmp_path):
    generator = np.random.default_rng(0)
    texts = [[generator.integers(200, 30_000, generator.integers(0, 9)).tolist() for _ in range(2)] for _ in range(50)]
    rows = [[101, *first, 102, *second, 102] for first, second in texts]
    files = [
        write_file(tmp_path / f"{part}.arrow", rows_of(*rows[part::2], width=24, label=[*range(25)])) for part in (0, 1)
    ]
    for _ in range(2):  # the second time from the cache
        table, frame = read_split(files, tmp_path / "cache")
        assert table["text"].to_pylist() == [first for part in (0, 1) for first, _ in texts[part::2]]
        assert table["text_pair"].to_pylist() == [second for part in (0, 1) for _, second in texts[part::2]]
        assert table["label"].to_pylist() == [*range(25), *range(25)]
        assert (frame.cls_id, frame.sep_id, frame.width, frame.values) == (101, 102, 24, 1)
        for file in files if len(list((tmp_path / "cache").iterdir())) == 1 else ():
            assert file.exists()


def test_labels_are_numbers_or_sets_of_classes_too(tmp_path):
    numbers = write_file(tmp_path / "a.arrow", rows_of([101, 7, 102], [101, 102], label=[0.5, -2.0]))
    assert read_split([numbers], tmp_path / "cache")[0]["label"].to_pylist() == [0.5, -2.0]
    sets = write_file(tmp_path / "b.arrow", rows_of([101, 7, 102], [101, 102], label=[[0, 1, 1], [0, 0, 0]]))
    assert read_split([sets], tmp_path / "cache")[0]["label"].to_pylist() == [[1, 2], []]
    without = write_file(tmp_path / "c.arrow", rows_of([101, 7, 102]))
    assert read_split([without], tmp_path / "cache")[0].column_names == ["text"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input_mask": np.array([[0, 1, 1, 1, 0, 0, 0, 0]], np.int32)}, "not laid out"),
        ({"input_ids": np.array([[101, 5, 6, 7, 0, 0, 0, 0], [101, 5, 6, 8, 0, 0, 0, 0]], np.int32)}, "SEP"),
        ({"segment_ids": np.ones((1, 7), np.int32)}, "as many values"),
        ({"label_ids": None}, None),
    ],
)
def test_rows_of_another_form_are_refused(tmp_path, change, sentence):
    rows = 2 if len(next(iter(change.values())) if sentence else []) == 2 else 1
    features = rows_of(*[[101, 5, 6, 102]] * rows, label=[0] * rows)
    if sentence is None:
        features = {"ids": features["input_ids"], "label_ids": features["label_ids"]}
        sentence = "lacks the features input_ids, input_mask, segment_ids; it has ids, label_ids"
    else:
        features |= change
    path = write_file(tmp_path / "train.arrow", features)
    with pytest.raises(DataError, match=sentence):
        read_split([path], tmp_path / "cache")


def test_two_vocabularies_do_not_mix(tmp_path):
    first = write_file(tmp_path / "a.arrow", rows_of([101, 7, 102]))
    other = rows_of([101, 7, 102])
    other["input_ids"][0, 0] = 2
    second = write_file(tmp_path / "b.arrow", other)
    with pytest.raises(DataError, match="begin with the id 2 and 101"):
        read_split([first, second], tmp_path / "cache")


def test_pieces_are_joined_to_words():
    vocab = ["[PAD]", "great", "##er", "##ly", "!", "[UNK]"]
    ids = pa.chunked_array([pa.array([[1, 2, 3, 4], [], [2, 1, 5]], pa.large_list(pa.int32()))]).slice(1)
    assert spell(ids, vocab).to_pylist() == ["", "##er great [UNK]"]
    assert spell(pa.chunked_array([pa.array([[1, 2, 3, 4]], pa.large_list(pa.int32()))]), vocab).to_pylist() == [
        "greaterly !"
    ]


def test_shards_have_all_rows_and_none_is_empty():
    generator = np.random.default_rng(0)
    for _ in range(200):
        rows = {split: int(generator.integers(1, 5000)) for split in ("train", "val", "test")}
        shards = int(generator.integers(1, 40))
        cut = cut_into_shards(rows, shards)
        assert {split: sum(sizes) for split, sizes in cut.items()} == rows
        assert min(min(sizes) for sizes in cut.values()) > 0
        assert max(len(sizes) for sizes in cut.values()) <= shards


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def found_in(**settings: str) -> dict[str, list[str]]:
    config = DatasetConfig(name="tfrecord", **settings)
    return {split: [path.name for path in files] for split, files in find_shards(config).items()}


def test_files_are_found_by_the_split_in_their_name(tmp_path):
    make_files(
        tmp_path, "train-00001-of-00002.tfrecord", "train-00000-of-00002.tfrecord", "val-00000-of-00001.tfrecord"
    )
    make_files(tmp_path, "encoded.json", ".train-00000-of-00002.tfrecord.tmp", "vocab.txt")
    expected = {
        "train": ["train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"],
        "val": ["val-00000-of-00001.tfrecord"],
    }
    assert found_in(path=str(tmp_path)) == expected
    assert found_in(path=str(tmp_path / "*.tfrecord")) == expected
    garden = tmp_path / "garden"
    make_files(
        garden, "MRPC_train.tf_record", "MRPC_eval.tf_record", "MRPC_meta_data", "imdb.test.tfrecord-00000-of-00001"
    )
    assert found_in(path=str(garden)) == {
        "train": ["MRPC_train.tf_record"],
        "val": ["MRPC_eval.tf_record"],
        "test": ["imdb.test.tfrecord-00000-of-00001"],
    }
    assert found_in(path=str(garden / "MRPC_eval.tf_record"), test_file=str(garden / "MRPC_train.tf_record"))["test"]
    assert found_in(path=str(garden), train_file="MRPC_eval.tf_record", test_file="MRPC_*")["train"] == [
        "MRPC_eval.tf_record"
    ]


def test_what_cannot_be_found_is_said(tmp_path):
    make_files(tmp_path, "a.tfrecord", "b.tfrecord")
    with pytest.raises(DataError, match=r"holds a\.tfrecord, b\.tfrecord: name those to train on"):
        found_in(path=str(tmp_path))
    with pytest.raises(DataError, match="matches no file"):
        found_in(path=str(tmp_path / "*.arrow"))
    with pytest.raises(DataError, match=r"dataset\.path=.* does not exist"):
        found_in(path=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="needs data"):
        found_in()
    whole = tmp_path / "whole"
    make_files(whole, "train-00000-of-00003.arrow", "train-00002-of-00003.arrow")
    with pytest.raises(DataError, match=r"lacks the shard train-00001-of-00003\.arrow"):
        found_in(path=str(whole))
