"""Four real workers on one study, of which one is killed ten times."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shell import REPOSITORY, bertexp

TRIALS, KILLS = 20, 10
SWEEP = ["-m", "sweep=lr_warmup", f"sweep.trials={TRIALS}", "sweep.name=killed",
         "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))", "dataset.limit_train=320", "dataset.limit_val=64",
         "dataset.limit_test=64", "trainer.batch_size=16", "trainer.max_epochs=4", "trainer.checkpoint_every_steps=10"]  # fmt: skip


def start_worker(place: Path) -> subprocess.Popen:
    with (place / "workers.log").open("a") as log:
        return subprocess.Popen([sys.executable, "-m", "bertexp", *SWEEP], cwd=place, env={"PYTHONPATH": str(REPOSITORY),
                                "PATH": "/usr/bin:/bin"}, stdout=log, stderr=log)  # fmt: skip


@pytest.mark.long
def test_no_trial_is_lost_or_counted_twice(tmp_path):
    chance = random.Random(1)
    workers = [start_worker(tmp_path) for _ in range(4)]
    try:
        folder = tmp_path / "outputs/sweeps/killed"
        while not list(folder.glob("trial-*/checkpoints/step-*")):
            time.sleep(0.1)
        for _ in range(KILLS):
            time.sleep(chance.uniform(1.0, 8.0))
            place = chance.randrange(4)
            workers[place].kill()
            workers[place].wait()
            workers[place] = start_worker(tmp_path)
        assert [worker.wait(900) for worker in workers] == [0] * 4, (tmp_path / "workers.log").read_text()[-3000:]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    infos = [json.loads(path.read_text()) for path in sorted(folder.glob("trial-*/run.json"))]
    assert [path.name for path in sorted(folder.glob("trial-*"))] == [f"trial-{number:04d}" for number in range(TRIALS)]
    assert {info["state"] for info in infos} <= {"completed", "pruned"}
    assert sum(info.get("stage") == "tested" for info in infos) == 1
    assert len({info["parameters"]["optimizer.learning_rate"] for info in infos}) == TRIALS
    with sqlite3.connect(tmp_path / "outputs/mlflow.db") as store:
        assert store.execute("select count(*) from tags where key = 'trial'").fetchone() == (TRIALS,)
        twice = "select count(*) from (select 1 from metrics group by run_uuid, key, step having count(*) > 1)"
        assert store.execute(twice).fetchone() == (0,)
    assert "the sweep is done" in bertexp(*SWEEP, cwd=tmp_path).out
