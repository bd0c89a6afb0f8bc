"""What commit 8e6fea5 began goes on: runs, a sweep, an exported model (made by scripts/make_former_runs.py)."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest
from shell import REPOSITORY, bertexp

from bertexp.runs.folder import RunFolder

ARCHIVE = REPOSITORY / "tests/former/8e6fea5.tar.xz"
STAND_IN = "/former"  # in MLflow's store: the folder that the archive is unpacked into


@pytest.fixture
def former(tmp_path) -> Path:
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path, filter="data")
    with sqlite3.connect(tmp_path / "outputs/mlflow.db") as store:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            store.execute(f"update {table} set {column} = replace({column}, ?, ?)", (STAND_IN, str(tmp_path)))
    return tmp_path


def status_in_store(folder: Path, run_id: str) -> str:
    with sqlite3.connect(folder / "outputs/mlflow.db") as store:
        return store.execute("select status from runs where run_uuid = ?", (run_id,)).fetchone()[0]


@pytest.mark.parametrize(("name", "metric"), [("classified", "test/accuracy"), ("scored", "test/pearson")])
def test_an_interrupted_run_goes_on_from_its_checkpoint_to_its_end(former, name, metric):
    run = RunFolder(former / "outputs/runs" / name)
    before = run.info
    assert before["state"] == "interrupted"
    steps = [path.name for path in run.checkpoints.glob("step-*")]
    ended = bertexp(f"trainer.resume=outputs/runs/{name}", cwd=former)
    assert ended.status == 0, ended.err
    assert "step 1/600" not in ended.out  # it did not begin anew
    after = run.info
    assert after["state"] == "completed"
    assert metric in after["metrics"]
    assert after["mlflow_run_id"] == before["mlflow_run_id"]
    assert status_in_store(former, before["mlflow_run_id"]) == "FINISHED"
    states = [json.loads(path.read_text()) for path in run.checkpoints.glob("step-*/state.json")]
    assert max(state["step"] for state in states) == 600
    logged = [step for step, _ in max(states, key=lambda state: state["step"])["history"]]
    assert logged == sorted(logged)
    assert logged[0] < int(steps[0].removeprefix("step-"))  # what was logged before is still told


def test_a_sweep_goes_on_with_the_same_command(former):
    folder = former / "outputs/sweeps/former"
    ended_before = {path: path.read_bytes() for path in folder.glob("trial-000[01]/seed-*/run.json")}
    stopped = RunFolder(folder / "trial-0002/seed-43")
    run_id = stopped.info["mlflow_run_id"]
    words = (former / "sweep.txt").read_text().splitlines()
    ended = bertexp("-m", *words, cwd=former)
    assert ended.status == 0, ended.err
    runs = sorted(folder.glob("trial-*/seed-*/run.json"))
    assert len(runs) == 4 * 2
    tested = [path for path in runs if RunFolder(path.parent).info.get("stage") == "tested"]
    assert len(tested) == 1
    changed = {path for path, content in ended_before.items() if path.read_bytes() != content}
    assert changed <= set(tested)  # the best trial alone went on, to its test
    assert stopped.info["state"] == "completed"
    assert stopped.info["mlflow_run_id"] == run_id
    assert status_in_store(former, run_id) == "FINISHED"
    assert (folder / "report.html").is_file()
    again = bertexp("-m", *words, cwd=former)
    assert "the sweep is done: 4 trials have ended" in again.out


def test_an_ended_run_is_compared_and_predicts(former):
    shutil.copytree(former / "outputs/runs/done", former / "outputs/runs/twin")
    for shown in (["outputs/runs/done", "outputs/runs/twin"], ["outputs/sweeps/former"]):
        compared = bertexp("compare", *shown, cwd=former)
        assert compared.status == 0, compared.err
        assert "accuracy" in compared.out
    predicted = bertexp("predict", "outputs/runs/done", "--json", "the film is very good", cwd=former)
    assert predicted.status == 0, predicted.err
    assert json.loads(predicted.out)["label"] in ("negative", "positive")
    again = bertexp("trainer.resume=outputs/runs/done", cwd=former)
    assert again.status == 2
    assert "is complete" in again.err
