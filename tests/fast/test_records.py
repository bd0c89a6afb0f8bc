"""Encoded rows without TensorFlow: their bytes, their files, and which files belong to which split."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from record_files import rows_of, serialize, write_file

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded import records
from bertexp.data.encoded.dataset import spell
from bertexp.data.encoded.encoding import cut_into_shards, find_shards
from bertexp.data.encoded.protobuf import NotAnExample, read_examples, write_examples
from bertexp.data.encoded.records import read_split
from bertexp.data.encoded.tfrecord import map_records, masked_checksums
from bertexp.errors import DataError


def test_rows_of_any_numbers_come_back():
    generator = np.random.default_rng(0)
    for rows in (1, 7, 100):
        features = {
            "input_ids": generator.integers(0, 2 ** generator.integers(1, 31, (rows, 40))),
            "label_ids": generator.integers(0, 3, (rows, 1)),
            "score": generator.normal(size=(rows, 2)).astype(np.float32),
        }
        data, offsets = write_examples(features)
        found = read_examples(data, offsets[:-1], offsets[1:])
        assert {name: packed.kind for name, packed in found.items()} == {
            "input_ids": "int",
            "label_ids": "int",
            "score": "float",
        }
        for name, values in features.items():
            flat, counts = found[name].read(data)
            assert np.array_equal(flat.reshape(values.shape), values)
            assert set(counts) == {values.shape[1]}


def test_features_are_found_in_any_order_and_number():
    first = serialize({"a": np.array([[1, 300]]), "bb": np.array([[2]])})[0]
    second = serialize({"bb": np.array([[70_000]])})[0]
    third = serialize({"bb": np.array([[4]]), "other": np.array([[0.5]], np.float32), "a": np.array([[5, 6]])})[0]
    data = np.frombuffer(first + second + third, np.uint8)
    ends = np.cumsum([len(first), len(second), len(third)])
    found = read_examples(data, ends - [len(first), len(second), len(third)], ends)
    values, counts = found["a"].read(data)
    assert (values.tolist(), counts.tolist()) == ([1, 300, 5, 6], [2, 0, 2])
    assert found["bb"].read(data)[0].tolist() == [2, 70_000, 4]
    assert found["other"].read(data)[0].tolist() == [0.5]


@pytest.mark.parametrize("record", [b"x", b"\n\x05abc", b"\n\x04\n\x02\n\x09", b"\x12\x00", b"\n\x80"])
def test_other_bytes_are_told_from_examples(record):
    with pytest.raises(NotAnExample):
        read_examples(np.frombuffer(record, np.uint8), np.array([0]), np.array([len(record)]))


def test_the_checksum_is_that_of_the_standard():
    data = np.frombuffer(b"..123456789", np.uint8)
    crc = 0xE3069283  # the check value of CRC-32C
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    assert masked_checksums(data, np.array([2, 2]), np.array([11, 11])).tolist() == [masked, masked]


def test_a_damaged_file_is_told_with_the_record(tmp_path):
    path = write_file(tmp_path / "train.tfrecord", serialize(rows_of([101, 7, 102], [101, 8, 9, 102])))
    whole = path.read_bytes()
    assert len(map_records(path)[1]) == 2
    compressed = tmp_path / "train.tfrecord.gz"
    compressed.write_bytes(gzip.compress(whole))
    assert len(map_records(compressed)[1]) == 2
    for place in (len(whole) - 8, len(whole) // 2 + 20):
        broken = bytearray(whole)
        broken[place] ^= 4
        path.write_bytes(broken)
        with pytest.raises(DataError, match="damaged in record 2"):
            map_records(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(DataError, match="cut off in record 2"):
        map_records(path)
    path.write_bytes(b"text,label\nfine,1\n")
    with pytest.raises(DataError, match="not a TFRecord file"):
        map_records(path)


def test_padding_and_special_tokens_go_and_rows_keep_their_order(tmp_path):
    generator = np.random.default_rng(0)
    texts = [[generator.integers(200, 30_000, generator.integers(0, 9)).tolist() for _ in range(2)] for _ in range(50)]
    rows = [[101, *first, 102, *second, 102] for first, second in texts]
    files = [
        write_file(tmp_path / f"{part}.tfrecord", serialize(rows_of(*rows[part::2], width=24, label=[*range(25)])))
        for part in (0, 1)
    ]
    for _ in range(2):  # the second time from the cache
        table, frame = read_split(files, tmp_path / "cache")
        assert table["text"].to_pylist() == [first for part in (0, 1) for first, _ in texts[part::2]]
        assert table["text_pair"].to_pylist() == [second for part in (0, 1) for _, second in texts[part::2]]
        assert table["label"].to_pylist() == [*range(25), *range(25)]
        assert (frame.cls_id, frame.sep_id, frame.width, frame.values) == (101, 102, 24, 1)
        for file in files if len(list((tmp_path / "cache").iterdir())) == 1 else ():
            assert file.exists()


def test_a_large_file_is_read_a_few_rows_at_a_time(tmp_path, monkeypatch):
    file = write_file(tmp_path / "train.tfrecord", serialize(rows_of(*[[101, 5, 102]] * 40, label=[0] * 40)))
    begun = []
    monkeypatch.setattr(records, "_ROWS_PER_CHUNK", 1)
    monkeypatch.setattr(records, "available_cores", lambda: 2)
    monkeypatch.setattr(
        records, "_strip", lambda file, features, strip=records._strip: begun.append(strip(file, features))
    )
    read = records._read_files([file])
    next(read)
    assert len(begun) <= 5  # two at work, two that wait, and the one that was taken
    assert len(list(read)) == 39


def test_labels_are_numbers_or_sets_of_classes_too(tmp_path):
    numbers = write_file(tmp_path / "a.tfrecord", serialize(rows_of([101, 7, 102], [101, 102], label=[0.5, -2.0])))
    assert read_split([numbers], tmp_path / "cache")[0]["label"].to_pylist() == [0.5, -2.0]
    sets = write_file(
        tmp_path / "b.tfrecord", serialize(rows_of([101, 7, 102], [101, 102], label=[[0, 1, 1], [0, 0, 0]]))
    )
    assert read_split([sets], tmp_path / "cache")[0]["label"].to_pylist() == [[1, 2], []]
    without = write_file(tmp_path / "c.tfrecord", serialize(rows_of([101, 7, 102])))
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
    path = write_file(tmp_path / "train.tfrecord", serialize(features))
    with pytest.raises(DataError, match=sentence):
        read_split([path], tmp_path / "cache")


def test_two_vocabularies_do_not_mix(tmp_path):
    first = write_file(tmp_path / "a.tfrecord", serialize(rows_of([101, 7, 102])))
    other = rows_of([101, 7, 102])
    other["input_ids"][0, 0] = 2
    second = write_file(tmp_path / "b.tfrecord", serialize(other))
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
