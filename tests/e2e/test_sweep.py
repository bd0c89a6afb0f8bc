"""A sweep as a user starts it, kills it, goes on with it and reads it."""

from __future__ import annotations

import json
import shlex
import sqlite3
import time
from pathlib import Path

import pytest
from shell import bertexp, start

from bertexp.config.resolve import compose_config

SWEEP = ["-m", "sweep=lr_warmup", "sweep.trials=4", "sweep.name=small", "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
         "dataset.limit_train=256", "dataset.limit_val=64", "dataset.limit_test=64", "trainer.batch_size=16",
         "trainer.max_epochs=2", "trainer.checkpoint_every_steps=4"]  # fmt: skip


def in_store(outputs: Path, query: str) -> list[tuple]:
    with sqlite3.connect(outputs / "mlflow.db") as store:
        return store.execute(query).fetchall()


def infos(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("trial-*/run.json"))]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep whose process was killed in its second trial, and its end in a second process."""
    place = tmp_path_factory.mktemp("sweep")
    folder = place / "outputs/sweeps/small"
    process = start(*SWEEP, cwd=place)
    while not list(folder.glob("trial-0001/checkpoints/step-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    ended = bertexp(*SWEEP, cwd=place)
    assert ended.status == 0, ended.err + ended.out
    return place, folder, ended.out


def test_every_trial_ends_in_a_state_and_is_counted_once(finished):
    states = [info["state"] for info in infos(finished[1])]
    assert len(states) == 4
    assert set(states) <= {"completed", "pruned"}
    table = finished[2].partition("trial      state")[2].partition("goes on to its test")[0].splitlines()[1:]
    numbers = [int(line.split()[0]) for line in table if line.split()[1:2] in (["completed"], ["pruned"])]
    assert numbers == [1, 2, 3]  # trial 0 had ended before the kill


def test_only_the_best_trial_is_tested_exported_and_kept(finished):
    tested = [info for info in infos(finished[1]) if "test/accuracy" in info.get("metrics", {})]
    assert [info["stage"] for info in tested] == ["tested"]
    assert tested[0]["export_difference"] <= 1e-5
    best = (finished[1] / "best.txt").read_text().strip()
    assert [path.parent.name for path in finished[1].glob("trial-*/model")] == [best]
    assert {path.parent.name for path in finished[1].glob("trial-*/checkpoints")} == {best}


def test_the_store_holds_a_parent_and_children_that_end_as_their_trials_did(finished):
    outputs = finished[0] / "outputs"
    runs = dict(in_store(outputs, "select run_uuid, status from runs"))
    assert set(runs.values()) == {"FINISHED"}
    (parent,) = (run for (run,) in in_store(outputs, "select run_uuid from tags where key = 'kind'"))
    children = in_store(outputs, f"select run_uuid from tags where key = 'mlflow.parentRunId' and value = '{parent}'")
    assert {run for (run,) in children} == set(runs) - {parent}
    tags = in_store(
        outputs,
        "select t.value, s.value from tags t join tags s using (run_uuid) where t.key = 'trial' and s.key = 'state'",
    )
    assert sorted(tags) == [(str(number), info["state"]) for number, info in enumerate(infos(finished[1]))]
    objectives = in_store(outputs, f"select value from metrics where key = 'objective' and run_uuid = '{parent}'")
    assert [value for (value,) in objectives] == [
        max(info["objectives"]["val/accuracy"] for info in infos(finished[1]) if "objectives" in info)
    ]
    points = in_store(
        outputs, "select run_uuid, key, step, count(*) n from metrics group by run_uuid, key, step having n > 1"
    )
    assert points == []  # the trial that went on wrote none twice


def test_the_report_and_the_recipe_name_the_best_trial(finished):
    best = (finished[1] / "best.txt").read_text().strip()
    rate = next(info for info in infos(finished[1]) if info.get("stage") == "tested")["parameters"][
        "optimizer.learning_rate"
    ]
    assert str(rate) in (finished[1] / "best.yaml").read_text()
    info = next(info for info in infos(finished[1]) if info.get("stage") == "tested")
    (again,) = (line.split("bertexp ")[1] for line in finished[2].splitlines() if line.startswith("best again"))
    assert (
        compose_config(shlex.split(again))[0].trainer.validate_every_steps
        == info["parameters"]["trainer.validate_every_steps"]
    )
    html = (finished[1] / "report.html").read_text()
    assert f"trial {int(best[-4:])}" in html.lower()
    assert (finished[1] / "figures").is_dir()


def test_the_same_command_again_says_it_is_done_without_tensorflow(finished):
    ended = bertexp(*SWEEP, cwd=finished[0], PYTHONPROFILEIMPORTTIME="1")
    assert ended.status == 0
    assert "the sweep is done: 4 trials have ended" in ended.out
    assert "best again python -m bertexp" in ended.out
    imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert "optuna" in imported
    assert "tensorflow" not in imported


def test_another_space_is_refused(finished):
    ended = bertexp(*SWEEP[:4], "optimizer.learning_rate=interval(0.1,0.2)", *SWEEP[5:], cwd=finished[0])
    assert ended.status == 2
    assert "was 0.0001 to 0.01, logarithmic and is 0.1 to 0.2" in ended.err


def test_a_sweep_can_be_predicted_with_and_compared(finished):
    predicted = bertexp("predict", "outputs/sweeps/small", "A film to remember.", cwd=finished[0])
    assert predicted.status == 0, predicted.err
    compared = bertexp("compare", "outputs/sweeps/small", cwd=finished[0])
    assert compared.status == 0, compared.err
    assert "optimizer.learning_rate" in compared.out


def test_a_sweep_without_m_is_told_so():
    ended = bertexp("sweep=lr_warmup", "run.seed=1")
    assert ended.status == 2
    assert "python -m bertexp -m sweep=lr_warmup run.seed=1" in ended.err


def test_a_sweep_that_completes_no_trial_has_status_2_and_is_tried_again(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"film {row},{row % 2}\n" for row in range(40)))
    words = ["-m", "optimizer.learning_rate=1e-4,1e-3", "sweep.name=failing", "dataset=files", "dataset.path=rows.csv",
             "dataset.val_fraction=0"]  # fmt: skip
    for again in (False, True):
        ended = bertexp(*words, cwd=tmp_path)
        assert ended.status == 2, ended.err + ended.out
        assert "no trial of the sweep failing has completed, 2 failed and 0 were pruned" in ended.err
        assert ("2 failed trials are tried anew" in ended.out) == again
        assert in_store(tmp_path / "outputs", "select status from runs") == [("FAILED",)]
