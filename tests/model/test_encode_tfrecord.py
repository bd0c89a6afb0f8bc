"""Encoded rows against Model Garden's own tools, and against the texts that they were made from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from official.nlp.data import classifier_data_lib
from official.nlp.data.sentence_prediction_dataloader import SentencePredictionDataConfig, SentencePredictionDataLoader
from official.nlp.tools.tokenization import FullTokenizer

from bertexp.commands.encode import main
from bertexp.config.resolve import compose_config
from bertexp.data.encoded.dataset import spell
from bertexp.data.examples.module import DataModule
from bertexp.data.find.locate import locate_dataset
from bertexp.data.sets.reviews import load_vocab, make_reviews
from bertexp.data.tokens.tokenizer import Tokenizer
from bertexp.runs.runner import run

MAX_LENGTH = 32  # longer than some reviews, shorter than others
TEXTS = make_reviews()["train"]["text"].to_pylist()
QUICK = ["model.hidden_size=64", "model.num_heads=2", "model.num_layers=1", "trainer.max_epochs=1", "tracking=none",
         "trainer.deterministic=true", f"dataset.max_length={MAX_LENGTH}"]  # fmt: skip


class Rows(classifier_data_lib.DataProcessor):
    """Rows that lie in memory, as Model Garden's tools take them."""

    def __init__(self, rows: list[tuple], is_regression: bool):
        super().__init__()
        self.is_regression, self.label_type = is_regression, float if is_regression else None
        self._labels = None if is_regression else ["bad", "good"]
        self._examples = [
            classifier_data_lib.InputExample(number, *row[:-1], label=row[-1]) for number, row in enumerate(rows)
        ]

    def get_train_examples(self, data_dir):
        return self._examples

    def get_dev_examples(self, data_dir):
        return self._examples[::4]

    def get_labels(self):
        return self._labels

    @staticmethod
    def get_processor_name():
        return "rows"


def make_rows(kind: str, count: int = 60) -> list[tuple]:
    label = (lambda row: row / 8) if kind == "regression" else (lambda row: ("bad", "good")[row % 2])
    if kind == "pairs":
        return [
            (TEXTS[row], " ".join(TEXTS[row + 1 : row + 1 + row % 3]) or "fine", label(row)) for row in range(count)
        ]
    return [(TEXTS[row], label(row)) for row in range(count)]


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in load_vocab()), encoding="utf-8")
    return path


def write_with_model_garden(rows: list[tuple], vocab_file: Path, folder: Path, is_regression: bool = False) -> Path:
    folder.mkdir(parents=True)
    classifier_data_lib.generate_tf_record_from_data_file(
        Rows(rows, is_regression),
        None,
        FullTokenizer(str(vocab_file), do_lower_case=True),
        train_data_output_path=str(folder / "rows_train.tf_record"),
        eval_data_output_path=str(folder / "rows_eval.tf_record"),
        max_seq_length=MAX_LENGTH,
    )
    return folder / "rows_train.tf_record"


def write_csv(rows: list[tuple], path: Path) -> None:
    header = ["text", "text_pair", "label"] if len(rows[0]) == 3 else ["text", "label"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def read_features(files: list[Path]) -> dict[str, np.ndarray]:
    """All int and float features of all records, as TensorFlow reads them."""
    found: dict[str, list] = {}
    for record in tf.data.TFRecordDataset(list(map(str, files))).as_numpy_iterator():
        for name, feature in tf.train.Example.FromString(record).features.feature.items():
            found.setdefault(name, []).append(list(feature.int64_list.value or feature.float_list.value))
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("kind", ["texts", "pairs", "regression"])
def test_records_equal_those_of_model_garden(kind, vocab_file, tmp_path):
    rows = make_rows(kind)
    theirs = read_features([write_with_model_garden(rows, vocab_file, tmp_path / "garden", kind == "regression")])
    write_csv(rows, tmp_path / "train.csv")
    settings = ["dataset.text_pair_column=text_pair"] if kind == "pairs" else []
    settings += ["task=regression"] if kind == "regression" else []
    words = ["dataset=files", f"dataset.path={tmp_path}/train.csv", "dataset.val_fraction=0", "dataset.test_fraction=0"]
    words += [
        f"dataset.max_length={MAX_LENGTH}",
        f"model.vocab_file={vocab_file}",
        f"run.outputs_dir={tmp_path}/outputs",
    ]
    main([*words, *settings, f"out={tmp_path}/encoded", "shards=3"])
    files = sorted((tmp_path / "encoded").glob("train-*.tfrecord"))
    assert [file.name for file in files] == [f"train-0000{number}-of-00003.tfrecord" for number in range(3)]
    ours = read_features(files)
    assert sorted(ours) == ["input_ids", "input_mask", "label_ids", "segment_ids"]
    for name, values in ours.items():
        assert np.array_equal(values, theirs[name]), name
    assert ours["segment_ids"].any() == (kind == "pairs")

    kind_of_label = "float" if kind == "regression" else "int"
    config = SentencePredictionDataConfig(
        input_path=str(files[0]),
        global_batch_size=4,
        is_training=False,
        seq_length=MAX_LENGTH,
        label_type=kind_of_label,
    )
    batch = next(iter(SentencePredictionDataLoader(config).load()))
    assert np.array_equal(batch["input_word_ids"], ours["input_ids"][:4])
    assert np.array_equal(batch["label_ids"], ours["label_ids"][:4, 0])


@pytest.mark.parametrize("kind", ["texts", "regression"])
def test_files_of_model_garden_train(kind, vocab_file, tmp_path):
    write_with_model_garden(make_rows(kind), vocab_file, tmp_path / "garden", kind == "regression")
    task = ["task=regression", "export.enabled=false"] if kind == "regression" else ["dataset.label_names=[bad,good]"]
    words = ["dataset=tfrecord", f"dataset.path={tmp_path}/garden", f"model.vocab_file={vocab_file}", *task, *QUICK]
    result = run([*words, f"run.outputs_dir={tmp_path}/outputs"])
    if kind == "regression":
        assert "test/spearman" in result.metrics
    else:
        assert "test/accuracy" in result.metrics
        assert result.export_difference <= 1e-5  # of texts made of the pieces, read by the model that was shipped


def batches_of(words: list[str]) -> list[tuple]:
    config, _ = compose_config(words)
    dataset = locate_dataset(config.dataset, config.run.cache_dir, config.task.name).load()
    vocab = load_vocab()
    data = DataModule(dataset.spelled_by(vocab, lowercase=True), Tokenizer(vocab, True), config.dataset, 16, 16)
    train = [batch for epoch in (0, 1) for batch in data.train_loader().epoch(epoch)]
    return train + [batch for split in ("val", "test") for batch in data.eval_loader(split).batches()]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("tfrecord", []),
        ("arrow", ["dataset.long_text=truncate_tail"]),
    ],
)
def test_batches_are_those_of_the_texts(kind, settings, tmp_path):
    common = [f"dataset.max_length={MAX_LENGTH}", f"run.outputs_dir={tmp_path}/outputs", *settings]
    texts = ["dataset.limit_train=200", "dataset.limit_val=40", "dataset.limit_test=40", *common]
    main([*texts, f"out={tmp_path}/encoded", f"format={kind}", "shards=4"])
    rows = ["dataset=tfrecord", f"dataset.path={tmp_path}/encoded", *common]
    for shorter in ([], ["dataset.max_length=20"]):
        for one, other in zip(batches_of(texts + shorter), batches_of(rows + shorter), strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_a_run_on_encoded_rows_is_the_run_on_the_texts(tmp_path):
    common = [*QUICK, f"run.outputs_dir={tmp_path}/outputs", "export.enabled=false"]
    texts = ["dataset.limit_train=200", "dataset.limit_val=40", "dataset.limit_test=40", *common]
    main([*texts, f"out={tmp_path}/encoded"])
    there = {
        path.name: path.stat().st_mtime_ns for path in (tmp_path / "encoded").iterdir() if path.suffix == ".tfrecord"
    }
    main([*texts, f"out={tmp_path}/encoded"])
    assert there.items() <= {path.name: path.stat().st_mtime_ns for path in (tmp_path / "encoded").iterdir()}.items()
    first = run(texts)
    second = run(["dataset=tfrecord", f"dataset.path={tmp_path}/encoded", *common])
    speed = {"train/examples_per_second"}
    assert {k: v for k, v in first.metrics.items() if k not in speed} == {
        k: v for k, v in second.metrics.items() if k not in speed
    }
    texts, encoded = (pq.read_table(result.predictions) for result in (first, second))
    assert texts.num_rows == 40
    for name in ("label", "predicted", "probability", "p_negative", "p_positive"):
        assert texts[name].equals(encoded[name]), name


def test_sets_of_classes_are_kept(tmp_path):
    labels = ([], ["a"], ["c", "b"])
    lines = [json.dumps({"text": TEXTS[row], "label": labels[row % 3]}) for row in range(30)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    common = ["task=multi_label", f"run.outputs_dir={tmp_path}/outputs", f"dataset.max_length={MAX_LENGTH}"]
    files = ["dataset=files", f"dataset.path={tmp_path}/train.jsonl"]
    main([*files, *common, f"out={tmp_path}/encoded"])
    texts, rows = (
        locate_dataset(config.dataset, config.run.cache_dir, "multi_label").load()
        for config, _ in map(
            compose_config, ([*files, *common], ["dataset=tfrecord", f"dataset.path={tmp_path}/encoded", *common])
        )
    )
    assert rows.label_names == texts.label_names == ("a", "b", "c")
    for split in texts.splits:
        assert rows.splits[split]["label"].to_pylist() == texts.splits[split]["label"].to_pylist()


def test_texts_of_pieces_are_tokenized_to_the_same_pieces():
    tokenizer = Tokenizer(load_vocab(), True)
    tokens = tokenizer.encode(TEXTS[:500])
    ids = pa.chunked_array([pa.LargeListArray.from_arrays(pa.array(tokens.offsets), pa.array(tokens.values))])
    again = tokenizer.encode(spell(ids, tokenizer.vocab))
    known = [
        row
        for row in range(500)
        if tokenizer.unk_id not in tokens.values[tokens.offsets[row] : tokens.offsets[row + 1]]
    ]
    assert len(known) > 400
    for row in known:
        assert np.array_equal(
            *(column.values[column.offsets[row] : column.offsets[row + 1]] for column in (tokens, again))
        )
