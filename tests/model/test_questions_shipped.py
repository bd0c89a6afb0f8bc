"""The export of question answering answers as Python does, and so do the command and the report."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tiny_questions import VOCAB, SpanModel, make_examples, make_spec, random_table, run
from toy import measure

from bertexp.commands.predict import main
from bertexp.data.table import TextDataset
from bertexp.reports.paired import read_predictions
from bertexp.serving.saved_model.export import export_saved_model
from bertexp.serving.saved_model.predictor import Predictor
from bertexp.serving.saved_model.pyfunc import TextModel
from bertexp.serving.saved_model.signatures import make_signatures
from bertexp.serving.spec import read_about
from bertexp.tasks.question_answering.task import QuestionAnswering
from bertexp.tasks.report import make_report
from bertexp.tracking.mlflow.model import make_signature
from bertexp.training.evaluation import Outputs


@pytest.mark.parametrize("null_answers", [False, True])
def test_the_exported_graph_answers_as_python_does_whatever_the_length(null_answers):
    table, model = random_table(90), SpanModel()
    examples = make_examples(table)
    assert np.bincount(examples.source_rows).max() > 5
    task = QuestionAnswering(max_answer_length=4, null_answers=null_answers)
    expected = task.choose(examples.truth(np.arange(len(examples.lengths))), run(model, examples))
    serve = make_signatures(model, VOCAB, True, make_spec(null_answers))["serving_default"]
    found = serve(tf.constant(table["text"].to_pylist()), tf.constant(table["text_pair"].to_pylist()))
    assert [answer.decode() for answer in found["answer"].numpy()] == expected.texts
    np.testing.assert_array_equal(found["start"], expected.starts)
    np.testing.assert_array_equal(found["end"], expected.ends)
    np.testing.assert_allclose(found["score"], expected.scores, rtol=1e-4)
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "answer": tf.string,
        "score": tf.float32,
        "start": tf.int64,
        "end": tf.int64,
    }
    assert (0 < sum(not text for text in expected.texts) < 90) == null_answers
    for question, context in ((["ab"], [""]), ([""], [" \n"]), ([], [])):
        nothing = serve(tf.constant(question, tf.string), tf.constant(context, tf.string))
        assert nothing["answer"].numpy().tolist() == [b""] * len(question)
        assert (nothing["start"].numpy() == nothing["end"].numpy()).all()


def test_the_shipped_model_answers_in_python_on_the_command_line_and_from_files(tmp_path, capsys):
    table, model = random_table(20), SpanModel()
    examples = make_examples(table)
    places = np.arange(len(examples.lengths))
    expected = QuestionAnswering(4).choose(examples.truth(places), run(model, examples))
    folder = export_saved_model(model, VOCAB, True, make_spec(), tmp_path / "model")  # checks the operations too
    questions, contexts = table["text"].to_pylist(), table["text_pair"].to_pylist()
    found = Predictor(folder).predict(questions, contexts, batch_size=7)
    assert [one.answer["answer"] for one in found] == expected.texts
    assert [one.answer["start"] for one in found] == expected.starts.tolist()
    np.testing.assert_allclose([one.answer["score"] for one in found], expected.scores, rtol=1e-4)
    main([str(folder), questions[1], contexts[1], "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record == {"question": questions[1], "context": contexts[1]} | found[1].answer
    assert contexts[1].encode()[record["start"] : record["end"]].decode() == record["answer"]
    with open(tmp_path / "in.csv", "w", newline="") as file:
        csv.writer(file).writerows([("question", "context"), *zip(questions, contexts, strict=True)])
    main([str(folder), "--file", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")])
    with open(tmp_path / "out.csv", newline="") as file:
        assert [row["answer"] for row in csv.DictReader(file)] == expected.texts
    table = TextModel(folder).predict({"question": questions[:2], "context": contexts[:2]})
    assert table["answer"].tolist() == expected.texts[:2]
    declared = make_signature(read_about(folder))
    assert declared.outputs.input_names() == list(table.columns)


def make_parts(table: pa.Table, task: QuestionAnswering) -> SimpleNamespace:
    dataset = TextDataset("squad", "question_answering", {"test": table}, (), True, "f" * 16, {}, "x.json")
    return SimpleNamespace(dataset=dataset, task=task)


def test_the_report_judges_questions_not_windows(tmp_path):
    table, task = random_table(60), QuestionAnswering(4, null_answers=True)
    examples = make_examples(table)
    places = np.arange(len(examples.lengths))
    outputs = Outputs(examples.source_rows, examples.truth(places), run(SpanModel(), examples))
    report = make_report(make_parts(table, task), "test", outputs)
    metrics, rows = measure(task, outputs.truth, outputs.logits), report.table()
    assert rows.num_rows == 60
    assert np.mean(rows["f1"]) == pytest.approx(metrics["f1"])
    assert np.mean(rows["exact_match"]) == pytest.approx(metrics["exact_match"])
    for name, (low, high) in report.intervals().items():
        assert low <= metrics[name] <= high
    for row in rows.to_pylist():
        assert row["text_pair"].encode()[row["start"] : row["end"]].decode() == row["predicted"]
    assert len(report.samples()) == 6
    report.draw(tmp_path)
    assert (tmp_path / "question_words.png").stat().st_size > 3000
    pq.write_table(rows.replace_schema_metadata({"task": "question_answering"}), tmp_path / "predictions.parquet")
    assert read_predictions(tmp_path / "predictions.parquet").accuracy == pytest.approx(metrics["exact_match"])


def test_questions_without_answers_are_reported_without_judgement():
    table = random_table(12)
    table = table.set_column(2, "label", pa.nulls(12, table["label"].type))
    examples = make_examples(table)
    places = np.arange(len(examples.lengths))
    outputs = Outputs(examples.source_rows, examples.truth(places), run(SpanModel(), examples))
    report = make_report(make_parts(table, QuestionAnswering(4)), "test", outputs)
    assert report.table().column_names == ["text", "text_pair", "label", "predicted", "score", "start", "end"]
    assert report.table()["label"].null_count == 12
    assert all(line.startswith("?") for line in report.samples())
