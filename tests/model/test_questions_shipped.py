"""The export of question answering answers as Python does, and so do the command and the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tiny_questions import VOCAB, SpanModel, choose, make_examples, make_spec, random_table, run

from bertexp.commands.predict import main
from bertexp.data.table import TextDataset
from bertexp.interfaces import Report
from bertexp.reports.paired import read_predictions
from bertexp.reports.predictions import write_predictions
from bertexp.serving.saved_model.export import export_saved_model
from bertexp.serving.saved_model.graph import make_tokenizer
from bertexp.serving.saved_model.predictor import Predictor
from bertexp.serving.saved_model.pyfunc import TextModel
from bertexp.serving.spec import read_about
from bertexp.tasks.question_answering.task import QuestionAnswering
from bertexp.tracking.mlflow.records import make_signature
from bertexp.training.evaluation import Batch


@pytest.mark.parametrize("null_answers", [False, True])
def test_the_exported_graph_answers_as_python_does_whatever_the_length(null_answers):
    table, model = random_table(90), SpanModel()
    examples = make_examples(table)
    assert np.bincount(examples.source_rows).max() > 5
    task = QuestionAnswering(max_answer_length=4, null_answers=null_answers)
    expected, texts = choose(task, examples, run(model, examples))
    serve = task.make_signatures(model, make_tokenizer(VOCAB, True), make_spec(null_answers))["serving_default"]
    found = serve(tf.constant(table["text"].to_pylist()), tf.constant(table["text_pair"].to_pylist()))
    assert [answer.decode() for answer in found["answer"].numpy()] == texts
    np.testing.assert_array_equal(found["start"], expected.starts)
    np.testing.assert_array_equal(found["end"], expected.ends)
    np.testing.assert_allclose(found["score"], expected.chances, rtol=1e-4)
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "answer": tf.string,
        "score": tf.float32,
        "start": tf.int64,
        "end": tf.int64,
    }
    assert (0 < sum(not text for text in texts) < 90) == null_answers
    for question, context in ((["ab"], [""]), ([""], [" \n"]), ([], [])):
        nothing = serve(tf.constant(question, tf.string), tf.constant(context, tf.string))
        assert nothing["answer"].numpy().tolist() == [b""] * len(question)
        assert (nothing["start"].numpy() == nothing["end"].numpy()).all()


def test_the_shipped_model_answers_in_python_on_the_command_line_and_from_files(tmp_path, capsys):
    table, model = random_table(20), SpanModel()
    examples = make_examples(table)
    expected, texts = choose(QuestionAnswering(4), examples, run(model, examples))
    folder = export_saved_model(model, VOCAB, True, make_spec(), tmp_path / "model")  # checks the operations too
    questions, contexts = table["text"].to_pylist(), table["text_pair"].to_pylist()
    found = Predictor(folder).predict({"question": questions, "context": contexts}, batch_size=7)
    assert [one.answer["answer"] for one in found] == texts
    assert [one.answer["start"] for one in found] == expected.starts.tolist()
    np.testing.assert_allclose([one.answer["score"] for one in found], expected.chances, rtol=1e-4)
    main([str(folder), questions[1], contexts[1], "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record == {"question": questions[1], "context": contexts[1]} | found[1].answer
    assert contexts[1].encode()[record["start"] : record["end"]].decode() == record["answer"]
    with open(tmp_path / "in.csv", "w", newline="") as file:
        csv.writer(file).writerows([("question", "context"), *zip(questions, contexts, strict=True)])
    main([str(folder), "--file", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")])
    with open(tmp_path / "out.csv", newline="") as file:
        assert [row["answer"] for row in csv.DictReader(file)] == texts
    table = TextModel(folder).predict({"question": questions[:2], "context": contexts[:2]})
    assert table["answer"].tolist() == texts[:2]
    declared = make_signature(read_about(folder))
    assert declared.outputs.input_names() == list(table.columns)


def write(path: Path, table: pa.Table, report: Report, batch: Batch) -> None:
    """The predictions of windows that come in batches of nine, in any order."""
    dataset = TextDataset("squad", "question_answering", {"test": table}, (), True, "f" * 16, {}, "x.json")
    order = np.random.default_rng(0).permutation(len(batch.rows))
    with write_predictions(path, dataset, "test", report) as keep:
        for windows in np.array_split(order, len(order) // 9):
            keep(Batch(*(values[windows] for values in batch)))


def test_the_report_judges_questions_not_windows(tmp_path):
    table, task = random_table(60), QuestionAnswering(4, null_answers=True)
    examples = make_examples(table)
    places = np.arange(len(examples.lengths))
    batch = Batch(examples.source_rows, examples.truth(places), run(SpanModel(), examples))
    measured, report, path = task.make_metrics(), task.make_report(), tmp_path / "predictions.parquet"
    measured.update(batch.truth, batch.logits)
    write(path, table, report, batch)
    metrics, rows = measured.result(), pq.read_table(path)
    assert rows.num_rows == 60
    assert rows["predicted"].to_pylist() == choose(task, examples, batch.logits)[1]
    assert np.mean(rows["f1"]) == pytest.approx(metrics["f1"])
    assert np.mean(rows["exact_match"]) == pytest.approx(metrics["exact_match"])
    for name, (low, high) in report.intervals(measured).items():
        assert low <= metrics[name] <= high
    for row in rows.to_pylist():
        assert row["text_pair"].encode()[row["start"] : row["end"]].decode() == row["predicted"]
    assert len(report.samples(path)) == 6
    report.draw(measured, path, tmp_path)
    assert (tmp_path / "question_words.png").stat().st_size > 3000
    assert read_predictions(path).accuracy == pytest.approx(metrics["exact_match"])


def test_questions_without_answers_are_reported_without_judgement(tmp_path):
    table = random_table(12)
    table = table.set_column(2, "label", pa.nulls(12, table["label"].type))
    examples = make_examples(table)
    places = np.arange(len(examples.lengths))
    report, path = QuestionAnswering(4).make_report(), tmp_path / "predictions-test.parquet"
    write(path, table, report, Batch(examples.source_rows, examples.truth(places), run(SpanModel(), examples)))
    rows = pq.read_table(path)
    assert rows.column_names[:7] == ["text", "text_pair", "label", "predicted", "score", "start", "end"]
    assert [rows[name].null_count for name in ("label", "f1", "exact_match", "predicted")] == [12, 12, 12, 0]
    assert all(line.startswith("?") for line in report.samples(path))
    assert read_predictions(path) is None
