"""The command encode and dataset=tfrecord, as far as they go without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from record_files import rows_of, write_file

from bertexp.commands.encode import main
from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.dataset import EncodedDataset
from bertexp.data.encoded.encoding import Encoding, fingerprint_of
from bertexp.data.find.locate import locate_dataset
from bertexp.errors import BertexpError, DataError

VOCAB = tuple(
    "[PAD]" if id == 0 else "[CLS]" if id == 101 else "[SEP]" if id == 102 else f"piece{id}" for id in range(200)
)
ENCODING = Encoding(
    format="arrow",
    task="classification",
    label_names=("bad", "good"),
    has_pair=False,
    max_length=8,
    long_text="truncate_head",
    vocabulary=fingerprint_of(VOCAB),
    lowercase=True,
    data="0123456789abcdef",
    name="files",
    source="train reviews.csv",
    shards={"train": (10,), "test": (4,)},
    versions={},
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Ten rows to train on and four to test on, of two classes."""
    for split, (rows,) in ENCODING.shards.items():
        features = rows_of(*[[101, 110 + row, 102] for row in range(rows)], label=[row % 2 for row in range(rows)])
        write_file(tmp_path / "encoded" / ENCODING.files(split)[0], features)
    (tmp_path / "encoded" / "encoded.json").write_text(ENCODING.as_text(), encoding="utf-8")
    return tmp_path / "encoded"


def load(folder: Path, task: str = "classification", **settings) -> EncodedDataset:
    config = DatasetConfig(name="tfrecord", **{"path": str(folder), "max_length": 8} | settings)
    return locate_dataset(config, str(folder.parent / "cache"), task).load()


def test_the_second_test_set_of_mnli_stays_a_split_of_its_own(folder):
    write_file(folder / "test_mismatched-00000-of-00001.arrow", rows_of([101, 5, 102], label=[1]))
    splits = load(folder).splits
    assert {split: table.num_rows for split, table in splits.items()} == {"train": 10, "test": 4, "test_mismatched": 1}


def test_a_folder_of_encoded_rows_is_a_data_set(folder):
    dataset = load(folder)
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 10, "test": 4}
    assert (dataset.label_names, dataset.task, dataset.has_pair) == (("bad", "good"), "classification", False)
    assert dataset.source == f"{folder}, encoded from train reviews.csv"
    assert load(folder).fingerprint == dataset.fingerprint
    shown = dataset.spelled_by(VOCAB, lowercase=True).take("test", np.array([2, 0]))
    assert shown.to_pylist() == [{"text": "piece112", "label": 0}, {"text": "piece110", "label": 0}]


def test_rows_of_other_tools_are_split_and_their_classes_counted(folder):
    (folder / "encoded.json").unlink()
    dataset = load(folder, stratify=False)
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 8, "val": 2, "test": 4}
    assert dataset.label_names == ("0", "1")
    assert load(folder, stratify=False, label_names=["no", "yes", "maybe"]).label_names == ("no", "yes", "maybe")
    with pytest.raises(DataError, match="tells 2 classes apart, and 1 are named"):
        load(folder, label_names=["no"])


def test_other_labels_belong_to_other_tasks(folder):
    (folder / "encoded.json").unlink()
    assert load(folder, "regression").splits["test"]["label"].to_pylist() == [0.0, 1.0, 0.0, 1.0]
    rows = [[101, 110, 102]] * 10
    write_file(folder / ENCODING.files("train")[0], rows_of(*rows, label=[[0, 1, 1]] * 10))
    with pytest.raises(DataError, match="several encodings"):
        load(folder)
    (folder / ENCODING.files("test")[0]).unlink()
    with pytest.raises(DataError, match="add task=multi_label"):
        load(folder)
    sets = load(folder, "multi_label")
    assert sets.label_names == ("0", "1", "2")
    assert sets.splits["train"]["label"].to_pylist()[0] == [1, 2]


def test_a_split_without_labels_may_be_predicted_and_not_trained_on(folder):
    write_file(folder / ENCODING.files("test")[0], rows_of([101, 110, 102], [101, 102]))
    dataset = load(folder)
    assert dataset.splits["test"]["label"].to_pylist() == [-1, -1]
    write_file(folder / ENCODING.files("train")[0], rows_of([101, 110, 102]))
    with pytest.raises(DataError, match="no label_ids"):
        load(folder)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_length": 64}, "rows were cut to 8 word pieces.*set dataset.max_length=8"),
        ({"long_text": "truncate_tail"}, "add dataset.long_text=truncate_head"),
        ({"task": "regression"}, "add task=classification"),
        ({"text_column": "review"}, "does not use dataset.text_column"),
        ({"url": "https://example.org"}, "does not use dataset.url"),
    ],
)
def test_what_does_not_fit_the_encoding_is_refused_unread(folder, settings, sentence):
    for file in folder.glob("*.arrow"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match=sentence):
        load(folder, **settings)


def test_another_vocabulary_is_refused(folder):
    dataset = load(folder)
    with pytest.raises(DataError, match=f"{fingerprint_of(VOCAB)}.*{fingerprint_of(VOCAB[:-1])}"):
        dataset.spelled_by(VOCAB[:-1], lowercase=True)
    with pytest.raises(DataError, match=r"set model\.lowercase=true"):
        dataset.spelled_by(VOCAB, lowercase=False)
    with pytest.raises(DataError, match=r"set model\.strip_accents=true"):
        dataset.spelled_by(VOCAB, lowercase=True, strip_accents=False)
    foreign = replace(dataset, encoding=None)
    with pytest.raises(DataError, match="holds the id 119, and the model's vocabulary has 115 pieces"):
        foreign.spelled_by(VOCAB[:115], lowercase=True)
    with pytest.raises(DataError, match=r"'piece102' to the model, not \[CLS\] and \[SEP\]"):
        foreign.spelled_by([*VOCAB[:102], "piece102", *VOCAB[103:]], lowercase=True)


def test_a_run_with_another_vocabulary_ends_before_tensorflow_is_imported(folder):
    code = (
        "import sys; from bertexp.errors import DataError; from bertexp.runs.runner import run\n"
        f"try: run(['dataset=tfrecord', 'dataset.path={folder}', 'dataset.max_length=8', 'run.outputs_dir={folder.parent}'])\n"
        "except DataError as error: print(error, 'tensorflow' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "encoded with the vocabulary" in ended.stdout
    assert ended.stdout.strip().endswith("False")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dataset=reviews"], "required: --out"),
        (["out={new}", "format=parquet"], "--format: invalid choice: 'parquet' .*tfrecord.*, .*arrow"),
        (["--out", "{new}", "--shards", "0"], "--shards: 0 is not a whole number"),
        (["out={new}", "worker=2"], "worker is no setting of encode; did you mean 'workers'"),
        (["out={new}", "dataset.lenght=9"], "dataset.lenght is not a setting"),
        (["out={new}", "task=tagging"], "task=tagging has no features in these files"),
        (["out={new}", "dataset.long_text=windows"], "windows makes several rows of one"),
        (["out={new}", "dataset=tfrecord", "dataset.path=."], "encoded already"),
        (["out={file}"], "is a file"),
        (["out={used}"], "holds other files"),
        (["out={encoded}", "format=arrow"], "another encoding \\(other label_names, max_length 8, not 128"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, folder, words, sentence):
    places = {"new": tmp_path / "new", "file": tmp_path / "file.txt", "used": tmp_path / "used", "encoded": folder}
    places["file"].write_text("x")
    (places["used"] / "more").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BertexpError, match=sentence):
        main([word.format(**places) for word in words] + [f"run.outputs_dir={tmp_path / 'outputs'}"])
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != ".lock"] == before


def test_help_says_how(capsys):
    assert main([]) == 0
    assert "usage: python -m bertexp encode" in capsys.readouterr().out
