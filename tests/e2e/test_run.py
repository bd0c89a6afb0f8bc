"""A run as a user starts it: what it prints, tracks, exports; and what a kill and a signal leave behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shell import bertexp, start

from bertexp.runs.folder import find_run

SMALL = ["dataset.limit_train=256", "dataset.limit_val=64", "dataset.limit_test=64", "trainer.batch_size=16"]


def in_store(outputs: Path, query: str) -> list[tuple]:
    with sqlite3.connect(outputs / "mlflow.db") as store:
        return store.execute(query).fetchall()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    ended = bertexp("model=small_bert_l4", "model.source=random", "dataset=reviews", "model.hidden_size=64",
                    "model.num_heads=2", "debug=fast", cwd=folder)  # fmt: skip
    assert ended.status == 0, ended.err + ended.out
    return folder, ended


def test_a_run_ends_with_its_result_samples_and_three_lines_to_paste(finished):
    ended = finished[1]
    out = ended.out
    assert "result     test/accuracy" in out
    assert "95% interval" in out
    assert sum(line.startswith(("right", "wrong")) for line in out.splitlines()) == 6
    assert "see it     python -m bertexp ui" in out
    assert "use it     python -m bertexp predict outputs/runs/" in out
    assert "repeat it  python -m bertexp model=small_bert_l4 model.source=random" in out
    noise = [
        line
        for line in (out + ended.err).splitlines()
        if "tensorflow/" in line or "alembic" in line or "WARNING" in line
    ]
    assert noise == []


def test_the_store_holds_parameters_metrics_data_and_model(finished):
    outputs = finished[0] / "outputs"
    run = find_run("last", str(outputs))
    assert run.info["state"] == "completed"
    parameters = dict(in_store(outputs, "select key, value from params"))
    assert parameters["optimizer.learning_rate"] == str(run.info["parameters"]["optimizer.learning_rate"])
    metrics = {name for (name,) in in_store(outputs, "select distinct key from metrics")}
    assert {"train/loss", "train/learning_rate", "val/accuracy", "test/accuracy", "test/mcc", "test/roc_auc"} <= metrics
    assert in_store(outputs, "select status from runs") == [("FINISHED",)]
    assert run.info["data_fingerprint"] in {digest for (digest,) in in_store(outputs, "select digest from datasets")}
    assert in_store(outputs, "select count(*) from logged_models") == [(1,)]
    names = {path.name for path in (outputs / "mlartifacts").rglob("*")}
    assert {"confusion_matrix.png", "curves.png", "learning_rate.png", "model.png", "predictions.json"} <= names


def test_the_printed_predict_line_works(finished):
    folder, ended = finished
    line = next(line for line in ended.out.splitlines() if line.startswith("use it"))
    words = line.split("bertexp ")[1].split(' "')[0].split()
    predicted = bertexp(*words, "--json", "A film to remember.", cwd=folder)
    assert predicted.status == 0, predicted.err
    answer = json.loads(predicted.out)
    assert answer["label"] in ("negative", "positive")


def wait_for_checkpoint(outputs: Path, process, at_least: int = 1) -> Path:
    for _ in range(1200):
        found = sorted(outputs.glob("runs/*/checkpoints/step-*/state.json"))
        if len(found) >= at_least:
            return found[-1].parent
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("no checkpoint in a minute")


def final_weights(outputs: Path) -> dict[str, np.ndarray]:
    import tensorflow as tf

    newest = max(outputs.glob("runs/*/checkpoints/step-*"))
    reader = tf.train.load_checkpoint(str(newest / "checkpoint"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


def test_a_killed_run_goes_on_to_bitwise_equal_weights_in_the_same_tracked_run(tmp_path):
    words = [*SMALL, "trainer.max_epochs=3", "trainer.checkpoint_every_steps=5", "trainer.deterministic=true",
             "export.enabled=false"]  # fmt: skip
    undisturbed, cwd = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    cwd.mkdir()
    whole = bertexp(*words, cwd=undisturbed)
    assert whole.status == 0, whole.err

    process = start(*words, cwd=cwd)
    wait_for_checkpoint(cwd / "outputs", process, at_least=2)
    process.kill()
    process.wait()
    assert find_run("last", str(cwd / "outputs")).info["state"] == "running"

    resumed = bertexp("trainer.resume=last", cwd=cwd)
    assert resumed.status == 0, resumed.err
    expected, found = final_weights(undisturbed / "outputs"), final_weights(cwd / "outputs")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)

    points = in_store(cwd / "outputs", "select key, step, count(*) from metrics group by key, step having count(*) > 1")
    assert points == []
    assert in_store(cwd / "outputs", "select status from runs") == [("FINISHED",)]
    assert [line for line in resumed.out.splitlines() if line.startswith("result")] == [
        line for line in whole.out.splitlines() if line.startswith("result")
    ]
    again = bertexp("trainer.resume=last", cwd=cwd)
    assert again.status == 2
    assert "is complete" in again.err


def test_sigterm_writes_a_checkpoint_and_ends_the_tracked_run_as_killed(tmp_path):
    process = start(*SMALL, "trainer.max_epochs=50", "trainer.checkpoint_every_steps=5", cwd=tmp_path)
    wait_for_checkpoint(tmp_path / "outputs", process)
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "trainer.resume=" in out
    assert find_run("last", str(tmp_path / "outputs")).info["state"] == "interrupted"
    assert in_store(tmp_path / "outputs", "select status from runs") == [("KILLED",)]


def test_a_notebook_that_has_imported_tensorflow_already_can_run(tmp_path):
    code = (
        "import tensorflow as tf; tf.keras.layers.Dense(2); import bertexp; "
        "print(bertexp.run(['debug=dev_run']).metrics['test/accuracy'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert 0 <= float(ended.stdout.splitlines()[-1]) <= 1
