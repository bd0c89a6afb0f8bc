"""What a run says arrives in MLflow, once, and nothing that MLflow does ends the run."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.models import Model

from bertexp.errors import TrackingError
from bertexp.interfaces import RunState
from bertexp.tracking.mlflow.store import local_path, resolve_uri
from bertexp.tracking.mlflow.tracker import MlflowTracker

LOADER = """
import json, os
class Stub:
    def __init__(self, path):
        self.label = open(os.path.join(path, "label.txt")).read()
    def predict(self, model_input, params=None):
        import pandas as pd
        texts = model_input["text"] if hasattr(model_input, "columns") else model_input
        return pd.DataFrame({"label": [self.label] * len(texts), "probability": [0.75] * len(texts)})
def _load_pyfunc(path):
    return Stub(path)
"""


def client_of(outputs: Path):
    from mlflow import MlflowClient

    return MlflowClient(resolve_uri(None, outputs))


def restarted(tracker: MlflowTracker, outputs: Path) -> MlflowTracker:
    again = MlflowTracker(None, "tests", "a run", outputs, resume_run_id=tracker.run_id)
    again.start({"optimizer.learning_rate": 1e-5, "model.path": None, "trainer.resume": "last"}, {})
    return again


def test_parameters_keep_their_words_and_long_ones_say_that_they_were_cut(outputs):
    tracker = MlflowTracker(None, "tests", "many", outputs)
    many = {f"group.key_{i}": i for i in range(230)}
    tracker.start({**many, "a.flag": True, "a.null": None, "a.list": ["no", "yes"], "a.long": "x" * 9000}, {})
    tracker.finish("completed")
    params = client_of(outputs).get_run(tracker.run_id).data.params
    assert len(params) == 234
    assert (params["a.flag"], params["a.null"], params["a.list"]) == ("true", "null", "[no,yes]")
    assert len(params["a.long"]) == 6000
    assert params["a.long"].endswith("[cut at 6000 characters]")


@pytest.mark.parametrize(
    ("state", "status"),
    [("completed", "FINISHED"), ("pruned", "FINISHED"), ("interrupted", "KILLED"), ("failed", "FAILED")],
)
def test_each_end_has_its_status_and_reason(tracker, outputs, state, status):
    tracker.finish(state, "because")
    run = client_of(outputs).get_run(tracker.run_id)
    assert run.info.status == status
    assert (run.data.tags["state"], run.data.tags["reason"], run.data.tags["mlflow.user"]) == (state, "because", "ann")


def test_metrics_keep_their_steps_and_a_resumed_run_doubles_none(tracker, outputs):
    for step in range(1, 2501):
        tracker.log_metrics({"train/loss": 1 / step}, step)
    tracker.finish("interrupted")
    again = restarted(tracker, outputs)
    assert client_of(outputs).get_run(tracker.run_id).info.status == "RUNNING"
    for step in range(2400, 2601):
        again.log_metrics({"train/loss": 1 / step}, step)
    again.log_metrics({"val/accuracy": 0.9}, 2500)
    again.finish("completed")
    assert again.run_id == tracker.run_id
    history = client_of(outputs).get_metric_history(tracker.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, 2601))
    assert [point.value for point in history] == [1 / step for step in range(1, 2601)]
    run = client_of(outputs).get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["val/accuracy"] == 0.9
    assert run.data.params["optimizer.learning_rate"] == "3e-05"
    assert run.data.tags["resumed.optimizer.learning_rate"] == "1e-05"
    assert run.data.params["trainer.resume"] == "last"


def test_a_resumed_run_does_not_keep_the_end_it_had_before(tracker, outputs):
    tracker.finish("interrupted", "stopped by SIGINT")
    again = restarted(tracker, outputs)
    assert not {"state", "reason"} & client_of(outputs).get_run(tracker.run_id).data.tags.keys()
    again.finish("completed")
    tags = client_of(outputs).get_run(tracker.run_id).data.tags
    assert tags["state"] == "completed"
    assert "reason" not in tags
    assert tags["mlflow.user"] == "ann"


def test_data_set_tables_and_files_arrive(tracker, outputs, tmp_path):
    train = pa.table({"text": ["a", "b", "c"], "label": pa.array([0, 1, 0], pa.int32())})
    tracker.log_dataset("reviews", {"train": train, "test": train.slice(1)}, "0123456789abcdef", "made by a grammar")
    pq.write_table(train, tmp_path / "predictions.parquet")
    tracker.log_table(tmp_path / "predictions.parquet", "predictions.json")
    tracker.log_file(tmp_path / "predictions.parquet")
    (tmp_path / "curves.png").write_bytes(b"png")
    tracker.log_file(tmp_path / "curves.png", "figures")
    tracker.log_dict({"a": [1]}, "provenance.json")
    tracker.finish("completed")

    client = client_of(outputs)
    inputs = client.get_run(tracker.run_id).inputs.dataset_inputs
    found = {entry.tags[0].value: entry.dataset for entry in inputs}
    assert {context: json.loads(data.profile)["num_rows"] for context, data in found.items()} == {"train": 3, "test": 2}
    assert {data.digest for data in found.values()} == {"0123456789abcdef"}
    assert [column["name"] for column in json.loads(found["train"].schema)["mlflow_colspec"]] == ["text", "label"]
    folder = outputs / "mlartifacts" / tracker.run_id / "artifacts"
    assert json.loads((folder / "predictions.json").read_text()) == {
        "columns": ["text", "label"],
        "data": [["a", 0], ["b", 1], ["c", 0]],
    }
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"predictions.json", "predictions.parquet", "figures/curves.png", "provenance.json"}


def test_the_model_loads_by_run_id_where_bertexp_is_not_installed(tracker, outputs, tmp_path):
    saved, loader = tmp_path / "saved", tmp_path / "stub_loader.py"
    saved.mkdir()
    (saved / "label.txt").write_text("positive")
    label = {"name": "label", "output": "label", "type": "string", "kind": "plain"}
    numbers = {"name": "probabilities", "output": "probabilities", "type": "double", "kind": "by_class"}
    about = {"inputs": ["text"], "example": {"text": "a film"}, "answer": [label, numbers]}
    (saved / "bertexp.json").write_text(json.dumps(about | {"label_names": ["negative", "positive"]}))
    loader.write_text(LOADER)
    tracker.log_metrics({"test/accuracy": 0.97}, 40)
    tracker.log_model(saved, loader, ["tensorflow==2.20.0"])
    tracker.finish("completed")

    (model,) = client_of(outputs).search_logged_models(["1"])
    described = Model.load(model.artifact_location.removeprefix("file://")).signature
    assert described.outputs.to_dict()[1:] == [
        {"type": "double", "name": f"p_{name}", "required": True} for name in ("negative", "positive")
    ]
    assert (model.status, model.source_run_id) == ("READY", tracker.run_id)
    assert {metric.key: metric.value for metric in model.metrics} == {"test/accuracy": 0.97}
    requirements = (Path(model.artifact_location.removeprefix("file://")) / "requirements.txt").read_text()
    assert "tensorflow==2.20.0" in requirements
    code = f"""
import sys; sys.modules["bertexp"] = None
import mlflow, pandas as pd
mlflow.set_tracking_uri({resolve_uri(None, outputs)!r})
for uri in ("runs:/{tracker.run_id}/model", {model.model_uri!r}):
    model = mlflow.pyfunc.load_model(uri)
    print(list(model.predict([{{"text": "a"}}])["label"]), list(model.predict(pd.DataFrame({{"text": ["a", "b"]}}))["label"]))
"""
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == ["['positive'] ['positive', 'positive']"] * 2


def test_nothing_is_written_beside_the_store(tracker, outputs, tmp_path, monkeypatch, capfd):
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    monkeypatch.chdir(empty)
    tracker.log_metrics({"train/loss": 1.0}, 1)
    tracker.log_dict({}, "a.json")
    tracker.finish("completed")
    assert list(empty.iterdir()) == []
    assert {path.name for path in outputs.iterdir()} == {"mlflow.db", "mlflow.db.lock", "mlartifacts"}
    assert capfd.readouterr() == ("", "")


def test_a_store_that_stops_answering_is_warned_about_once_and_gets_the_rest_later(tracker, outputs, capsys):
    real, away = tracker._client.log_batch, True

    def log_batch(*args, **kwargs):
        if away:
            raise ConnectionError("gone")
        return real(*args, **kwargs)

    tracker._client.log_batch = log_batch
    tracker._client.log_dict = None  # broken for good
    for step in range(5):
        tracker.log_metrics({"train/loss": 1.0}, step)
        tracker.flush()
    tracker.log_dict({}, "lost.json")
    tracker.log_file(Path(__file__))
    assert capsys.readouterr().out.count("ConnectionError: gone") == 1
    away = False
    tracker.finish("completed")
    assert "0 metric points and 1 records" in capsys.readouterr().out
    run = client_of(outputs).get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics["train/loss"]) == ("FINISHED", 1.0)
    assert [path.name for path in (outputs / "mlartifacts" / tracker.run_id / "artifacts").iterdir()] == [
        "test_tracking.py"
    ]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, "sqlite:///{here}/out/mlflow.db"),
        ("sqlite:///runs.db", "sqlite:///{here}/runs.db"),
        ("sqlite:////elsewhere/runs.db", "sqlite:////elsewhere/runs.db"),
        ("store", "file://{here}/store"),
        ("file:///elsewhere", "file:///elsewhere"),
        ("https://host:5000", "https://host:5000"),
        ("postgresql+psycopg://ann@host/runs", "postgresql+psycopg://ann@host/runs"),
    ],
)
def test_addresses_do_not_follow_the_working_directory(given, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_uri(given, "out") == meant.format(here=tmp_path)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("sqlite:///my runs/x.db", "{here}/my runs/x.db"),
        ("sqlite:///my%20runs/x.db", "{here}/my runs/x.db"),
        ("sqlite:///my%2520runs/x.db", "{here}/my%20runs/x.db"),
        ("sqlite:///100% sure/ünï.db", "{here}/100% sure/ünï.db"),
        ("sqlite:///a.db?timeout=5", "{here}/a.db"),
        ("sqlite:///why%3F/a.db", "{here}/why?/a.db"),
        ("my runs", "{here}/my runs"),
        ("my%20runs", "{here}/my%20runs"),
        ("file:///my%20runs", "/my runs"),
        ("file:///my runs/100%/ünï", "/my runs/100%/ünï"),
        ("file:///a%2520b", "/a%20b"),
        ("file://localhost/q#x", "/q#x"),
        ("file:below", "{here}/below"),
    ],
)
def test_addresses_are_decoded_once(given, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    resolved = resolve_uri(given, "out")
    assert str(local_path(resolved)) == path.format(here=tmp_path)
    assert resolve_uri(resolved, "out") == resolved


@pytest.mark.parametrize("name", ["my runs", "100% ünï", "a%20b", "q#x"])
def test_a_store_lies_where_its_address_says(name, tmp_path, empty_store):
    """MLflow and SQLAlchemy decode what they are given once more."""
    outputs = tmp_path / name
    outputs.mkdir()
    shutil.copy(empty_store, outputs / "mlflow.db")
    before = (outputs / "mlflow.db").read_bytes()
    tracker = MlflowTracker(None, "tests", "a run", outputs)
    tracker.start({}, {})
    tracker.log_dict({"a": 1}, "a.json")
    tracker.finish(RunState.COMPLETED)
    assert (outputs / "mlflow.db").read_bytes() != before
    assert len(list((outputs / "mlartifacts").glob("*/artifacts/a.json"))) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # MLflow makes an empty folder a%2520b
    assert all(path.is_relative_to(outputs) for path in files)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://127.0.0.1:9", "Connection refused"),
        ("sqlite:////proc/no/mlflow.db", "/proc/no"),
        ("ftp://host/x", "not an MLflow address"),
    ],
)
def test_an_unusable_store_is_one_sentence(uri, reason, tmp_path):
    with pytest.raises(TrackingError, match=reason):
        MlflowTracker(uri, "tests", "a run", tmp_path).start({}, {})


def test_a_file_that_is_no_store_is_one_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, " * 100)
    with pytest.raises(TrackingError, match="not a database"):
        MlflowTracker(None, "tests", "a run", tmp_path).start({}, {})


def test_a_store_is_opened_at_the_first_metrics_and_gets_what_was_said_before(outputs):
    tracker, told = MlflowTracker(None, "tests", "late", outputs), []
    tracker.start({"a": 1}, {"user": "ann"}, told.append)
    tracker.log_dict({"rows": 3}, "dataset.json")
    tracker.log_dataset("reviews", {"train": pa.table({"text": ["a", "b"]})}, "0123abcd", "here")
    assert (told, tracker._client) == ([], None)
    before = time.time()
    tracker.log_metrics({"train/loss": 0.5}, 1)
    assert time.time() - before < 0.5
    tracker.log_dict({"said": "while it opened"}, "note.json")
    tracker.finish("completed")
    run = client_of(outputs).get_run(tracker.run_id)
    assert told == [tracker.run_id]
    assert (run.info.status, run.data.params, run.data.metrics) == ("FINISHED", {"a": "1"}, {"train/loss": 0.5})
    assert [found.dataset.digest for found in run.inputs.dataset_inputs] == ["0123abcd"]
    kept = outputs / "mlartifacts" / tracker.run_id / "artifacts"
    assert sorted(path.name for path in kept.iterdir()) == ["dataset.json", "note.json"]
    point = client_of(outputs).get_metric_history(tracker.run_id, "train/loss")[0]
    assert run.info.start_time <= point.timestamp < (before + 0.5) * 1000  # when it was said, not when it was taken


def spoil(outputs: Path) -> None:
    """A database by its first bytes, and no store."""
    outputs.mkdir(exist_ok=True)
    (outputs / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"x" * 4096)


def test_a_store_that_proves_unusable_once_opened_ends_the_run_with_its_sentence(tmp_path, capsys):
    spoil(tmp_path)
    tracker = MlflowTracker(None, "tests", "a run", tmp_path)
    tracker.start({}, {}, lambda run_id: None)
    tracker.log_metrics({"train/loss": 0.5}, 1)
    tracker._opening.join()
    with pytest.raises(TrackingError, match="tracking=none"):
        tracker.log_metrics({"train/loss": 0.5}, 2)
    tracker.finish("failed")
    assert capsys.readouterr().out == ""


def test_a_library_that_cannot_be_imported_is_said_and_loses_no_checkpoint(outputs, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    tracker = MlflowTracker(None, "tests", "a run", outputs)
    tracker.start({}, {}, lambda run_id: None)
    tracker.log_metrics({"train/loss": 0.5}, 1)
    tracker.flush()  # called before a checkpoint is written
    with pytest.raises(TrackingError, match="ModuleNotFoundError"):
        tracker.log_metrics({"train/loss": 0.5}, 2)


def test_a_run_whose_beginning_fails_does_not_stay_running(outputs):
    tracker = MlflowTracker(None, "tests", "a run", outputs)

    def fail(run_id: str) -> None:
        raise OSError("disk full")

    tracker.start({}, {}, fail)
    run_id = tracker.run_id
    with pytest.raises(TrackingError, match="disk full"):
        tracker.log_metrics({"train/loss": 0.5}, 1)
    assert client_of(outputs).get_run(run_id).info.status == "FAILED"


def test_a_short_run_that_ends_before_is_warned(tmp_path, capsys):
    spoil(tmp_path)
    tracker = MlflowTracker(None, "tests", "a run", tmp_path)
    tracker.start({}, {}, lambda run_id: None)
    tracker.log_metrics({"train/loss": 0.5}, 1)
    tracker.finish("completed")
    assert "nothing of this run is recorded" in capsys.readouterr().out


def test_a_run_to_resume_that_is_not_there_is_one_sentence(outputs):
    with pytest.raises(TrackingError, match="0123abcd"):
        MlflowTracker(None, "tests", "a run", outputs, resume_run_id="0123abcd").start({}, {})


def test_a_folder_store_works(tmp_path):
    tracker = MlflowTracker(f"file://{tmp_path}/runs", "tests", "a run", tmp_path)
    tracker.start({"a.b": 1}, {})
    tracker.log_metrics({"train/loss": 0.5}, 3)
    tracker.finish("completed")
    assert tracker._client.get_run(tracker.run_id).data.metrics == {"train/loss": 0.5}


def test_processes_that_start_together_share_one_new_store(tmp_path):
    code = (
        "from bertexp.tracking.mlflow.tracker import MlflowTracker\n"
        f"t = MlflowTracker(None, 'tests', 'a run', {str(tmp_path)!r})\n"
        "t.start({'a': 1}, {}); t.log_metrics({'train/loss': 1.0}, 1); t.finish('completed'); print(t.run_id)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    assert [err for _, err in answers] == ["", ""]
    assert len(client_of(tmp_path).search_runs(["1"])) == 2
