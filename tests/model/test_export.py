"""The exported SavedModel: equal to the trained model, complete or absent, loadable where bertexp is not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text
import tf_keras
from tiny_export import PAIRS, TEXTS, VOCAB, make_model, pack

from bertexp.errors import ExportError
from bertexp.models.precision import float32_inference
from bertexp.serving.saved_model import pyfunc
from bertexp.serving.saved_model.export import check_ops, export_saved_model, reference_logits
from bertexp.serving.spec import ServingSpec
from bertexp.serving.verify import Verifier
from bertexp.tasks.classification.task import Classification


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """An exported one-text model and the trained model's probabilities of TEXTS."""
    model = make_model(1)
    spec = ServingSpec(Classification(("neg", "pos")), max_length=16, has_pair=False)
    folder = export_saved_model(model, VOCAB, True, spec, tmp_path_factory.mktemp("single") / "model")
    logits = reference_logits(model, [pack([TEXTS], 16)])
    return folder, tf.sigmoid(tf.concat([-logits, logits], axis=1)).numpy()


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """An exported model of two texts and three classes, and the trained model's probabilities of TEXTS with PAIRS."""
    model = make_model(3)
    spec = ServingSpec(Classification(("no", "maybe", "yes")), max_length=12, has_pair=True)
    folder = export_saved_model(model, VOCAB, True, spec, tmp_path_factory.mktemp("pair") / "model")
    return folder, tf.nn.softmax(reference_logits(model, [pack([TEXTS, PAIRS], 12)])).numpy()


def test_single_text_gives_the_trained_models_answers_for_any_shape(single):
    folder, expected = single
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    for text in (tf.constant(TEXTS), tf.constant(TEXTS)[:, tf.newaxis], tf.reshape(tf.constant(TEXTS), [2, 3])):
        answer = serve(text=text)
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
        assert answer["label"].numpy().tolist() == [(b"neg", b"pos")[row.argmax()] for row in expected]
    assert serve(text=tf.constant("a good film"))["label"].shape == [1]
    assert serve(text=tf.constant([], tf.string))["probabilities"].shape == [0, 2]


def test_pair_gives_the_trained_models_answers_and_refuses_unequal_counts(pair):
    folder, expected = pair
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answer = serve(text=tf.constant(TEXTS), text_pair=tf.constant(PAIRS))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="same number"):
        serve(text=tf.constant(TEXTS), text_pair=tf.constant(PAIRS[:2]))


def test_ids_signature_gives_logits(pair):
    folder, expected = pair
    features = {name: tf.constant(array) for name, array in pack([TEXTS, PAIRS], 12).items()}
    logits = tf.saved_model.load(str(folder)).signatures["ids"](**features)["logits"]
    np.testing.assert_allclose(tf.nn.softmax(logits), expected, atol=1e-6)


def test_folder_tells_what_it_holds_and_leaves_nothing_beside_it(single):
    folder, _ = single
    about = json.loads((folder / "bertexp.json").read_text())
    assert (about["label_names"], about["max_length"], about["has_pair"]) == (["neg", "pos"], 16, False)
    assert {"bertexp", "tensorflow", "tensorflow-text"} <= about["versions"].keys()
    assert (folder / "assets" / "vocab.txt").read_text().splitlines() == VOCAB
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_exported_as_float32(tmp_path, precision):
    exact = make_model(1)
    tf_keras.mixed_precision.set_global_policy(precision)
    try:
        model = make_model(1)
        model.set_weights(exact.get_weights())
        features = pack([TEXTS], 16)
        rounded = model(features).numpy()
        folder = export_saved_model(
            model, VOCAB, True, ServingSpec(Classification(("neg", "pos")), 16, False), tmp_path / "model"
        )
        assert np.array_equal(model(features).numpy(), rounded)  # the model itself stays as it was
        assert model.dense.compute_dtype == precision.removeprefix("mixed_")
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    ids = {name: tf.constant(array) for name, array in features.items()}
    logits = tf.saved_model.load(str(folder)).signatures["ids"](**ids)["logits"]
    np.testing.assert_allclose(logits, exact(features), atol=1e-6)
    assert np.abs(rounded - logits).max() > 1e-5


def test_float32_inference_restores_policies_after_an_error():
    layer = tf_keras.Sequential([tf_keras.layers.Dense(1, dtype="mixed_bfloat16")])
    with contextlib.suppress(KeyError), float32_inference(layer):
        assert layer.layers[0].compute_dtype == "float32"
        raise KeyError
    assert layer.layers[0].compute_dtype == "bfloat16"


def test_operations_that_serving_lacks_are_named(tmp_path):
    trimmer = tensorflow_text.RoundRobinTrimmer(5)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def trim(ids):
        return trimmer.trim([tf.RaggedTensor.from_tensor(ids)])[0].to_tensor()

    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=trim)
    with pytest.raises(ExportError, match="TFText>RoundRobinTrim"):
        check_ops(tmp_path)


def test_failed_export_leaves_the_older_one(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    monkeypatch.setattr("bertexp.serving.saved_model.export.check_ops", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_saved_model(
            make_model(1), VOCAB, True, ServingSpec(Classification(("neg", "pos")), 16, False), tmp_path / "model"
        )
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "old"]


def test_fresh_process_reproduces_the_trained_model(pair):
    folder, expected = pair
    with Verifier() as verifier:
        report = verifier.verify(folder, {"text": TEXTS, "text_pair": PAIRS}, expected, 1e-5)
    assert report.rows == len(TEXTS)
    assert report.max_difference < 1e-6


def fake_process(monkeypatch, tmp_path: Path, script: str) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("""cat >/dev/null; echo '{"answers": [[0.5, 0.5], [0.9, 0.1]]}'""", r"by 1\.00e-01.*row 1, 'second'"),
        ("""cat >/dev/null; echo '{"answers": [[0.5, 0.5], [NaN, 0.2]]}'""", "by inf.*row 1"),
        (
            """cat >/dev/null; echo '{"answers": [[1, 0, 0], [0, 1, 0]]}'""",
            "gives 3 numbers per text, not 2",
        ),
        ("echo boom >&2; exit 3", "status 3, saying: boom"),
        ("exec sleep 60", "no answer within 0.3 s"),
    ],
)
def test_difference_crash_and_silence_are_errors(monkeypatch, tmp_path, script, message):
    fake_process(monkeypatch, tmp_path, script)
    with (
        Verifier(timeout_seconds=0.3 if "sleep" in script else 30) as verifier,
        pytest.raises(ExportError, match=message),
    ):
        verifier.verify(tmp_path, {"text": ["first", "second"]}, np.array([[0.5, 0.5], [0.8, 0.2]], np.float32), 1e-5)


def test_requests_are_understood_in_every_form_serving_sends():
    import pandas

    table = pandas.DataFrame({"text": ["a", "b"]})
    array = np.array([["a"], ["b"]])
    for request in (
        table,
        ["a", "b"],
        [{"text": "a"}, {"text": ["b"]}],
        {"text": [["a"], ["b"]]},
        array,
        table["text"],
    ):
        assert pyfunc._column(request, "text", ["text"]) == ["a", "b"]
    assert pyfunc._column(pandas.DataFrame([["a"], ["b"]]), "text", ["text"]) == ["a", "b"]
    assert pyfunc._column("a", "text", ["text"]) == ["a"]
    for wrong in (table, ["a"], {"text": "a"}):
        with pytest.raises(ValueError, match="text_pair"):
            pyfunc._column(wrong, "text_pair", ["text", "text_pair"])
    with pytest.raises(ValueError, match="expected, not 3"):
        pyfunc._column({"text": [3]}, "text", ["text"])


def test_logged_model_predicts_where_bertexp_is_not_importable(single, tmp_path):
    folder, expected = single
    script = f"""
import json, sys
sys.modules["bertexp"] = None  # an import of it fails
import mlflow, mlflow.pyfunc
from mlflow.pyfunc.scoring_server import invocations
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
signature = ModelSignature(Schema([ColSpec("string", "text")]))
mlflow.pyfunc.save_model({str(tmp_path / "logged")!r}, loader_module="pyfunc", data_path={str(folder)!r},
    code_paths=[{pyfunc.__file__!r}], pip_requirements=["tensorflow", "tensorflow-text"], signature=signature)
sys.modules.pop("pyfunc", None)
model = mlflow.pyfunc.load_model({str(tmp_path / "logged")!r})
texts = {TEXTS!r}
requests = [
    {{"instances": texts}},
    {{"instances": [{{"text": text}} for text in texts]}},
    {{"instances": [{{"text": [text]}} for text in texts]}},
    {{"inputs": texts}},
    {{"inputs": {{"text": texts}}}},
    {{"dataframe_split": {{"columns": ["text"], "data": [[text] for text in texts]}}}},
    {{"dataframe_records": [{{"text": text}} for text in texts]}},
]
for request in requests:
    answer = invocations(json.dumps(request), "application/json", model, model.metadata.get_input_schema())
    print("answer", json.dumps(json.loads(answer.response).get("predictions")))
"""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("answer ")]
    assert len(answers) == 7
    for rows in answers:
        assert [row["label"] for row in rows] == [("neg", "pos")[row.argmax()] for row in expected]
        np.testing.assert_allclose([[row["p_neg"], row["p_pos"]] for row in rows], expected, atol=1e-5)
        np.testing.assert_allclose([row["probability"] for row in rows], expected.max(axis=1), atol=1e-5)
