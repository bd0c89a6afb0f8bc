"""A task from a folder outside of the package, by one registration: trained, tested, shipped, and asked where it is unknown."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HERE = Path(__file__).resolve().parent
STARS = ("awful", "poor", "fair", "good", "superb")
SCRIPT = """
import sys
import bertexp
from ordinal.spec import OrdinalSpec

bertexp.register_task(OrdinalSpec())
bertexp.run(sys.argv[1:])
"""


def run_python(*words: str, knows_the_task: bool) -> subprocess.CompletedProcess:
    paths = [str(HERE.parents[1]), *([str(HERE)] if knows_the_task else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, str]:
    """The folder and the output of a run that learns how many stars a word is worth."""
    place = tmp_path_factory.mktemp("sixth")
    with open(place / "stars.csv", "w", newline="") as file:
        rows = [
            (f"a {word} film, number {number}", stars) for number in range(40) for stars, word in enumerate(STARS, 1)
        ]
        csv.writer(file).writerows([("text", "label"), *rows])
    (place / "train.py").write_text(SCRIPT)
    words = ["task=ordinal", "task.passed=0.4", "dataset=files", f"dataset.path={place}/stars.csv",
             "model.num_layers=1", "model.hidden_size=32", "model.num_heads=1", "trainer.max_epochs=12",
             "optimizer.learning_rate=0.01", f"run.outputs_dir={place}/outputs"]  # fmt: skip
    done = run_python(str(place / "train.py"), *words, knows_the_task=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = (place / "outputs" / "runs").iterdir()
    return folder, done.stdout


def test_it_is_trained_tested_reported_and_verified(run):
    folder, output = run
    info = json.loads((folder / "run.json").read_text())
    assert (info["parameters"]["task.name"], info["parameters"]["task.passed"]) == ("ordinal", 0.4)
    assert not {"task.threshold", "task.binary_head"} & info["parameters"].keys()
    assert info["metrics"]["test/mae"] < 0.3  # a guess would miss by more than one star
    assert info["intervals"]["test/accuracy"][0] <= info["metrics"]["test/accuracy"]
    assert info["export_difference"] < 1e-5
    assert "result     test/accuracy" in output
    assert pq.read_table(folder / "predictions.parquet")["predicted"].unique().to_pylist()
    assert {"right.png", "model.png"} <= {path.name for path in (folder / "figures").iterdir()}


def test_predict_and_mlflow_answer_where_the_task_is_unknown(run):
    folder, _ = run
    texts = [f"a {word} film" for word in STARS]
    done = run_python("-m", "bertexp", "predict", str(folder), *texts, "--json", knows_the_task=False)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [int(record["label"]) for record in records] == pytest.approx([1, 2, 3, 4, 5], abs=1)
    assert [record["rank"] for record in records] == sorted(record["rank"] for record in records)
    for record in records:
        chances = record["probabilities"]
        assert (list(chances), sum(chances.values())) == (list("12345"), pytest.approx(1.0, abs=1e-5))
    run_id = json.loads((folder / "run.json").read_text())["mlflow_run_id"]
    code = f"""
import sys; sys.modules["bertexp"] = None
import mlflow
mlflow.set_tracking_uri("sqlite:///{folder.parents[1]}/mlflow.db")
model = mlflow.pyfunc.load_model("runs:/{run_id}/model")
print(*model.metadata.signature.outputs.input_names())
print(*model.predict([{{"text": {texts[0]!r}}}]).columns)
"""
    done = run_python("-c", code, knows_the_task=False)
    assert done.stdout.splitlines() == ["label rank p_1 p_2 p_3 p_4 p_5"] * 2, done.stderr


def test_only_who_registers_it_can_choose_it(tmp_path):
    words = ["run.dry=true", f"run.outputs_dir={tmp_path}"]
    done = run_python("-m", "bertexp", "task=ordinal", *words, knows_the_task=True)
    assert done.returncode == 2
    assert "task=ordinal does not exist" in done.stderr
    (tmp_path / "train.py").write_text(SCRIPT)
    wrong = ["task=ordinal", "task.threshold=0.4", "dataset=imdb", *words]
    done = run_python(str(tmp_path / "train.py"), *wrong, knows_the_task=True)
    assert "task.threshold is a setting of task=multi_label and of no other task" in done.stderr
    done = run_python(str(tmp_path / "train.py"), "task=ordinal", "dataset=stsb", *words, knows_the_task=True)
    assert "dataset=stsb has labels for task=regression, not for task=ordinal" in done.stderr
