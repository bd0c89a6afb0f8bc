"""Predictions are written from batches in any order, and neither they nor the metrics need a split's logits in memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertexp.data.examples.texts import label_array
from bertexp.data.table import TextDataset
from bertexp.errors import ConfigError
from bertexp.reports import predictions
from bertexp.reports.confusions import accuracy_of, f1_of
from bertexp.reports.paired import read_predictions
from bertexp.reports.predictions import read_rows, read_slices, write_predictions
from bertexp.runs.comparison import Compared
from bertexp.runs.folder import RunFolder
from bertexp.runs.runner import run
from bertexp.tasks.classification.task import Classification
from bertexp.tasks.multi_label.task import MultiLabel
from bertexp.tasks.question_answering.task import QuestionAnswering
from bertexp.tasks.regression.task import Regression
from bertexp.tasks.tagging.task import Tagging
from bertexp.training.evaluation import Batch

ROWS = 300


def make_dataset(task: str, labels: pa.Array | np.ndarray, names: tuple[str, ...]) -> TextDataset:
    table = pa.table({"text": [f"text {row}" for row in range(len(labels))], "label": labels})
    return TextDataset("x", task, {"test": table}, names, False, "f" * 16, {}, "x.csv")


def write(path: Path, task, dataset: TextDataset, truth: np.ndarray, logits: np.ndarray, rows: np.ndarray) -> pa.Table:
    """The file of the rows, which come in a random order in batches of about ten."""
    order = np.random.default_rng(0).permutation(rows)
    with write_predictions(path, dataset, "test", task.make_report()) as keep:
        for batch in np.array_split(order, max(1, len(order) // 10)):
            keep(Batch(batch, truth[batch], logits[batch]))
    return pq.read_table(path)


@pytest.mark.parametrize(("rows_at_once", "files"), [(4096, 32), (16, 3), (16, 1), (7, 100)])
def test_rows_come_in_the_splits_order_however_little_fits_in_memory(tmp_path, monkeypatch, rows_at_once, files):
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(predictions, "SCRATCH_FILES", files)
    generator = np.random.default_rng(0)
    task = Classification(("a", "b", "c"))
    truth = generator.integers(0, 3, ROWS).astype(np.int32)
    logits = generator.normal(size=(ROWS, 3)).astype(np.float32)
    dataset, path = make_dataset("classification", truth, task.label_names), tmp_path / "run" / "predictions.parquet"
    for rows in (np.arange(ROWS), np.sort(generator.choice(ROWS, 50, replace=False))):  # all, or those of a few batches
        table = write(path, task, dataset, truth, logits, rows)
        assert table.column_names == ["text", "label", "predicted", "probability", "p_a", "p_b", "p_c"]
        assert table["text"].to_pylist() == [f"text {row}" for row in rows]
        assert table["label"].to_pylist() == [task.label_names[index] for index in truth[rows]]
        assert table["predicted"].to_pylist() == [task.label_names[index] for index in logits[rows].argmax(1)]
        chances = np.stack([table[f"p_{name}"].to_numpy() for name in "abc"], axis=1)
        np.testing.assert_array_equal(chances, task.probabilities(logits[rows]))
        np.testing.assert_array_equal(table["probability"], chances.max(1))
        assert max(part.num_rows for part in read_slices(path, ("text",))) <= rows_at_once
        assert [row["text"] for row in read_rows(path, np.array([41, 0, 7]))] == [f"text {rows[i]}" for i in (41, 0, 7)]
        assert list(path.parent.iterdir()) == [path]


def test_an_evaluation_that_fails_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / "predictions.parquet"
    path.write_text("the former one")
    task, labels = Classification(("a", "b")), np.zeros(4, np.int32)
    dataset = make_dataset("classification", labels, ("a", "b"))

    def fail(keep) -> None:
        keep(Batch(np.arange(4), labels, np.zeros((4, 1), np.float32)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), write_predictions(path, dataset, "test", task.make_report()) as keep:
        fail(keep)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [(path.name, "the former one")]


def test_of_many_classes_the_ten_likeliest_are_listed_and_compare_counts_the_answers(tmp_path):
    names = tuple(f"class {index}" for index in range(150))
    generator = np.random.default_rng(0)
    task, truth = Classification(names), generator.integers(0, 40, ROWS).astype(np.int32)
    logits = generator.normal(size=(ROWS, 150)).astype(np.float32)
    logits[np.arange(0, ROWS, 3), truth[::3]] = 9.0
    path = tmp_path / "predictions.parquet"
    table = write(path, task, make_dataset("classification", truth, names), truth, logits, np.arange(ROWS))
    assert table.column_names == ["text", "label", "predicted", "probability", "likeliest", "probabilities"]
    order = np.argsort(-logits, axis=1)[:, :10]
    assert table["likeliest"].to_pylist() == [[names[index] for index in row] for row in order]
    chances = np.take_along_axis(task.probabilities(logits), order, axis=1)
    np.testing.assert_array_equal(np.stack(table["probabilities"].to_numpy()), chances)
    exploded = table.to_pandas().explode(["likeliest", "probabilities"])
    assert len(exploded) == 10 * ROWS
    metrics = task.make_metrics()
    metrics.update(truth, logits)
    found = read_predictions(path)
    assert found.accuracy == pytest.approx(metrics.result()["accuracy"])
    for metric, name in ((accuracy_of, "accuracy"), (f1_of, "f1")):
        assert metric(found.confusions.marginals()) == pytest.approx(metrics.result()[name])


def test_sets_of_many_classes_are_spelled_whole_and_listed_by_chance(tmp_path):
    names = tuple(f"c{index}" for index in range(101))
    generator = np.random.default_rng(0)
    sets = [np.flatnonzero(generator.random(101) < 0.03).tolist() for _ in range(ROWS)]
    labels = pa.array(sets, pa.list_(pa.int32()))
    logits = (generator.normal(size=(ROWS, 101)) - 1).astype(np.float32)
    task = MultiLabel(names)
    dataset = make_dataset("multi_label", labels, names)
    truth = label_array(dataset.splits["test"]["label"], 101)
    table = write(tmp_path / "predictions.parquet", task, dataset, truth, logits, np.arange(ROWS))
    assert table["label"].to_pylist() == [", ".join(names[index] for index in row) or "(none)" for row in sets]
    given = [", ".join(names[index] for index in np.flatnonzero(row >= 0)) for row in logits]
    assert table["predicted"].to_pylist() == given
    assert table["likeliest"].to_pylist() == [[names[index] for index in np.argsort(-row)[:10]] for row in logits]


def test_sets_of_classes_are_made_dense_a_batch_at_a_time():
    sets = [[0, 29_999], [], None, [7]] * 12_500
    labels = label_array(
        pa.chunked_array([pa.array(sets[:9], pa.list_(pa.int32())), pa.array(sets[9:], pa.list_(pa.int32()))]), 30_000
    )
    assert (labels.shape, len(labels)) == ((50_000, 30_000), 50_000)  # 6 GB if they were dense
    rows = np.array([49_999, 0, 1, 2, 8])
    dense = labels[rows]
    assert (dense.dtype, dense.shape) == (np.float32, (5, 30_000))
    assert [np.flatnonzero(row).tolist() for row in dense] == [sets[row] or [] for row in rows]


def test_an_unlabelled_test_and_the_judged_split_have_a_file_each(tmp_path, capsys):
    rows = [f"a text of {number} words,{'good' if number % 2 else 'bad'}\n" for number in range(60)]
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(rows))
    (tmp_path / "test.csv").write_text("text\n" + "".join(f"another text {number}\n" for number in range(9)))
    result = run(
        ["dataset=files", f"dataset.path={tmp_path}/train.csv", f"dataset.test_file={tmp_path}/test.csv", "debug=fast",
         "model=tiny", "tracking=none", "export.enabled=false", f"run.outputs_dir={tmp_path}/outputs"]
    )  # fmt: skip
    judged, other = (pq.read_table(path) for path in (result.predictions, result.folder / "predictions-test.parquet"))
    assert result.predictions == result.folder / "predictions.parquet"
    assert judged["label"].null_count == 0
    assert other["text"].to_pylist() == [f"another text {number}" for number in range(9)]
    assert other["label"].null_count == 9
    assert other["predicted"].null_count == 0
    assert Compared("A", RunFolder(result.folder)).predictions.accuracy == pytest.approx(result.metrics["val/accuracy"])


def test_a_run_of_many_classes_says_once_what_it_leaves_out(tmp_path, capsys):
    rows = [f"a text of number {number % 101} in row {number},class {number % 101}\n" for number in range(404)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(rows))
    words = ["dataset=files", f"dataset.path={tmp_path}/rows.csv", "dataset.val_fraction=0.25", "dataset.test_fraction=0.25",
             "model=tiny", "trainer.max_epochs=2", "tracking=none", "export.enabled=false", f"run.outputs_dir={tmp_path}"]  # fmt: skip
    result = run(words)
    assert capsys.readouterr().out.count("roc_auc is measured for up to 100 classes, and there are 101") == 1
    assert not any("roc_auc" in name for name in result.metrics)
    assert pq.ParquetFile(result.predictions).schema_arrow.names[-2:] == ["likeliest", "probabilities"]
    found = Compared("A", RunFolder(result.folder)).metrics
    assert found["test/f1"].value == pytest.approx(result.metrics["test/f1"])
    with pytest.raises(ConfigError, match="roc_auc"):
        run([*words, "task.main_metric=roc_auc"])


def test_samples_show_right_and_wrong_ones_on_one_line_each(tmp_path):
    texts = [
        f"review number {i}\nwith a second line, and many more words than a terminal is wide " * 3 for i in range(40)
    ]
    wrong = np.isin(np.arange(40), [3, 7, 9, 11])
    table = pa.table(
        {
            "text": texts,
            "label": ["negative"] * 40,
            "predicted": np.where(wrong, "positive", "negative"),
            "probability": np.where(wrong, 0.8, 0.9),
        }
    )
    report, path = Classification(("negative", "positive")).make_report(), tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=7)
    lines = report.samples(path)
    assert len(lines) == 6
    assert sum(line.startswith("wrong  positive  80%") and line.endswith("(true: negative)") for line in lines) == 3
    assert all("\n" not in line and len(line) <= 100 for line in lines)
    pq.write_table(table.slice(0, 2).set_column(1, "label", pa.nulls(2, pa.string())), path)
    assert [line[:17] for line in report.samples(path)] == ["?      negative  "] * 2


@pytest.mark.parametrize(
    ("task", "labels", "predicted", "found"),
    [
        (Classification(("neg", "pos")), ["pos", "neg", "neg"], ["neg"] * 3, "every row was given neg; train longer"),
        (MultiLabel(("a", "b")), ["a, b", "b"], ["(none)"] * 2, r"every row was given \(none\)"),
        (Tagging(("O", "B-x")), ["O B-x O", "O O"], ["O O O", "O O"], "every word was tagged O"),
        (QuestionAnswering(), ["Paris", "1870"], ["", ""], "every row was given no answer"),
        (Regression(), [1.0, 2.0], [1.5, 1.5], "every row was given 1.5"),
    ],
)
def test_a_model_that_says_the_same_of_everything_is_pointed_out(tmp_path, task, labels, predicted, found):
    pq.write_table(pa.table({"label": labels, "predicted": predicted}), tmp_path / "rows.parquet")
    assert re.match(found, task.make_report().find_sameness(tmp_path / "rows.parquet"))


def test_different_answers_and_equal_labels_are_nothing_to_point_out(tmp_path):
    for labels, predicted in ((["a", "b"], ["b", "a"]), (["a", "a"], ["a", "a"]), ([None, None], ["a", "a"])):
        table = pa.table({"label": pa.array(labels, pa.string()), "predicted": predicted})
        pq.write_table(table, tmp_path / "rows.parquet")
        assert Classification(("a", "b")).make_report().find_sameness(tmp_path / "rows.parquet") == ""


PEAK = """
import resource, sys
import numpy as np
import tensorflow as tf
import tf_keras
sys.path.insert(0, {tests!r})
from toy import ToyData
import pyarrow as pa
from bertexp.config.schema import TrainerConfig
from bertexp.data.examples.loaders import EvalLoader
from bertexp.data.table import TextDataset
from bertexp.reports.predictions import write_predictions
from bertexp.tasks.classification.task import Classification
from bertexp.training.module import FineTuningModule
from bertexp.training.trainer import Trainer
from pathlib import Path

rows, classes = {rows}, {classes}

class Model(tf_keras.Model):
    def call(self, features, training=False, dropout_seed=None):
        first = features["input_word_ids"][:, :1]
        return tf.cast((tf.range(classes) * 7919 + first * 104729) % 1009, tf.float32) / 100.0

data = ToyData(rows)
data.labels = np.random.default_rng(0).integers(0, classes, rows).astype(np.int32)
data.eval_loader = lambda split, **limits: EvalLoader(data.chosen(None), 64, 128)
task = Classification(tuple(map(str, range(classes))))
table = pa.table({{"text": [f"text {{row}}" for row in range(rows)], "label": data.labels}})
dataset = TextDataset("x", "classification", {{"test": table}}, task.label_names, False, "f" * 16, {{}}, "x.csv")
report, path = task.make_report(), Path({folder!r}) / "predictions.parquet"
with write_predictions(path, dataset, "test", report) as keep:
    result = Trainer(TrainerConfig()).test(FineTuningModule(Model(), task, None), data, after_batch=keep)
report.intervals(result.measured)
report.samples(path)
report.draw(result.measured, path, Path({folder!r}))
print(result.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_of(tmp_path: Path, rows: int, classes: int) -> float:
    """Peak memory of a test, its predictions and its report in MB, in a process of its own."""
    code = PEAK.format(tests=str(Path(__file__).parent), rows=rows, classes=classes, folder=str(tmp_path))
    code = "from bertexp.system import devices\ndevices.prepare()\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    tested, peak = done.stdout.split()[-2:]
    assert int(tested) == rows == pq.ParquetFile(tmp_path / "predictions.parquet").metadata.num_rows
    return float(peak)


@pytest.mark.long
def test_fifty_thousand_rows_of_thirty_thousand_units_are_tested_below_one_and_a_half_gigabytes(tmp_path):
    assert peak_of(tmp_path, 50_000, 30_000) < 1500  # the logits alone are 6 GB


def test_a_test_of_a_wide_head_holds_batches_and_not_the_split(tmp_path):
    """With logits kept, 20 times the rows would take 460 MB more."""
    few, many = (peak_of(tmp_path, rows, 20_000) for rows in (320, 6400))
    assert many - few < 150
