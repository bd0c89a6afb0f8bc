"""TFRecord files: their bytes, what is read of them, and which are refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bertexp.data.encoded.records import read_split
from bertexp.data.examples.shards import serialize
from bertexp.errors import DataError

SHAPE = {"input_mask": [1, 1, 1, 1], "segment_ids": [0, 0, 0, 0]}


def write_file(path: Path, records: list[bytes]) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def example(**features: list) -> bytes:
    """One row, as the generic library writes it."""

    def feature(values: list) -> tf.train.Feature:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    named = {name: feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def test_rows_are_written_as_the_generic_library_reads_them():
    generator = np.random.default_rng(0)
    features = {
        "input_ids": generator.integers(0, 2 ** generator.integers(1, 31, (50, 40))).astype(np.int32),
        "label_ids": generator.integers(0, 3, (50, 1)).astype(np.int32),
        "score": generator.normal(size=(50, 2)).astype(np.float32),
    }
    for row, record in enumerate(serialize(features)):
        found = tf.train.Example.FromString(record).features.feature
        assert {name: value.int64_list.value[:] or value.float_list.value[:] for name, value in found.items()} == {
            name: values[row].tolist() for name, values in features.items()
        }


def test_shards_of_earlier_versions_have_the_same_bytes():
    row = {"input_ids": np.array([[101, 7, 300, 102, 0]], np.int32), "label_ids": np.array([[0.5]], np.float32)}
    assert serialize(row)[0].hex() == (
        "0a300a170a09696e7075745f696473120a1a080a066507ac0266000a150a096c6162656c5f696473120812060a040000003f"
    )


def test_features_are_found_in_any_order_and_beside_others(tmp_path):
    first = example(input_ids=[101, 300, 5, 102], **SHAPE, label_ids=[1], guid=[b"a"])
    second = example(weight=[0.5], label_ids=[0], **SHAPE, input_ids=[101, 70_000, 6, 102])
    table, frame = read_split([write_file(tmp_path / "a.tfrecord", [first, second])], tmp_path / "cache")
    assert table.to_pydict() == {"text": [[300, 5], [70_000, 6]], "label": [1, 0]}
    assert (frame.cls_id, frame.sep_id, frame.largest_id, frame.width) == (101, 102, 70_000, 4)


def test_whole_numbers_and_others_in_the_files_of_a_split_are_numbers(tmp_path):
    records = [example(input_ids=[101, 5, 6, 102], **SHAPE, label_ids=[label]) for label in (2, 0.5)]
    files = [write_file(tmp_path / f"{number}.tfrecord", [record]) for number, record in enumerate(records)]
    label = read_split(files, tmp_path / "cache")[0]["label"]
    assert (str(label.type), label.to_pylist()) == ("float", [2.0, 0.5])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([b"x"], "does not hold tf.train.Example records: record 1"),
        ([{"input_ids": [101, 5, 6, 102], **SHAPE}, b"\n\x05abc"], "does not hold tf.train.Example records: record 2"),
        ([{"ids": [1]}], "lacks the features input_ids, input_mask, segment_ids; it has ids"),
        ([{"input_ids": [101, 5, 6, 102], **SHAPE, "label_ids": [label]} for label in (1, 0.5)],
         "label_ids holds float and int64 values"),
        ([{"input_ids": [101, 5, 6, 102], **SHAPE, "label_ids": [b"good"]}], "label_ids holds bytes values"),
        ([{"input_ids": [101, 5, 6, 102], **SHAPE, "label_ids": [0] * count} for count in (3, 2)],
         "some rows have 2 values of label_ids and some 3"),
        ([{"input_ids": [101, 5, 6, 102], **SHAPE}, {"input_ids": [101, 102], **SHAPE}],
         "some rows have 2 values of input_ids and some 4"),
    ],
)  # fmt: skip
def test_other_records_are_refused(tmp_path, rows, sentence):
    records = [row if isinstance(row, bytes) else example(**row) for row in rows]
    with pytest.raises(DataError, match=sentence):
        read_split([write_file(tmp_path / "train.tfrecord", records)], tmp_path / "cache")


def test_a_damaged_file_is_told_with_the_record(tmp_path):
    records = [example(input_ids=[101, 5 + row, 6, 102], **SHAPE) for row in range(2)]
    path = write_file(tmp_path / "train.tfrecord", records)
    whole = path.read_bytes()

    def rows_of(file: Path, content: bytes) -> int:
        file.write_bytes(content)
        return read_split([file], tmp_path / "cache")[0].num_rows

    compressed = tmp_path / "train.tfrecord.gz"
    assert rows_of(path, whole) == rows_of(compressed, gzip.compress(whole)) == 2
    for place in (len(whole) - 8, len(whole) // 2 + 20):
        broken = bytearray(whole)
        broken[place] ^= 4
        with pytest.raises(DataError, match="damaged in record 2"):
            rows_of(path, broken)
    with pytest.raises(DataError, match="cut off in record 2"):
        rows_of(path, whole[:-1])
    with pytest.raises(DataError, match="not a TFRecord file"):
        rows_of(path, b"text,label\nfine,1\n")
    with pytest.raises(DataError, match="holds no rows"):
        rows_of(path, b"")
    cut = gzip.compress(whole)[:-4]
    broken = bytearray(gzip.compress(whole))
    broken[20:24] = b"\xff" * 4
    for content in (cut, bytes(broken)):
        with pytest.raises(DataError, match="not a whole gzip file"):
            rows_of(compressed, content)


def test_reading_leaves_the_number_of_threads_to_the_run(tmp_path):
    """A run chooses it when its model is built, after the data were read; TensorFlow takes none once it works."""
    path = write_file(tmp_path / "train.tfrecord", [example(input_ids=[101, 5, 6, 102], **SHAPE)])
    code = (
        "from pathlib import Path; from bertexp.data.encoded.records import read_split\n"
        f"print(read_split([Path({str(path)!r})], Path({str(tmp_path / 'cache')!r}))[0].num_rows)\n"
        "import tensorflow as tf; tf.config.threading.set_intra_op_parallelism_threads(1)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "1"
    assert "deprecated" not in ended.stderr
