"""No secret of an address in anything that is written or printed, and the ways to give it again."""

import io
import json
import logging
import subprocess
import sys
from dataclasses import asdict

import pytest

from bertexp.config import words as words_module
from bertexp.config.resolve import compose_config
from bertexp.errors import BertexpError, ConfigError, NetworkError, RunInterrupted, TrackingError
from bertexp.runs import record as record_module
from bertexp.runs.folder import RunFolder, with_former_overrides
from bertexp.runs.record import RunRecord
from bertexp.sweeps.spec import SweepSpec, local_overrides, make_spec
from bertexp.sweeps.storage import check_storage, open_storage
from bertexp.system import downloads
from bertexp.system.console import log_to, say
from bertexp.system.credentials import find_secret, hide, is_hidden, put_back
from bertexp.system.machine import collect_provenance
from bertexp.tracking.base import Tracker
from bertexp.tracking.mlflow.store import must_answer, resolve_uri

SECRET = "s3cr3t-of-ours"
STORE = f"postgresql://ann:{SECRET}@db.example.com:5432/mlflow"
DATA = f"https://bob:{SECRET}@data.example.com/reviews.csv?sig={SECRET}&version=2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:pw@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql+psycopg://u:p%40w@h/db?sslmode=require", "postgresql+psycopg://u:***@h/db?sslmode=require"),
        ("http://u:p@ss:w/x@h:5000/a", "http://u:***@h:5000/a"),
        ("mysql://u:p w@h/db is gone", "mysql://u:***@h/db is gone"),
        ("redis://:pw@h", "redis://:***@h"),
        ("http://u:12345@h", "http://u:***@h"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("http://h:5000 and u@h", "http://h:5000 and u@h"),
        ("http://h:5000/a@b", "http://h:5000/a@b"),
        ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("https://h: no answer; write to u@h", "https://h: no answer; write to u@h"),
        ("ann@example.com: hello", "ann@example.com: hello"),
        ("https://h/a?sig=x%2By&design=5", "https://h/a?sig=***&design=5"),
        ("https://h/a?X-Amz-Signature=1&X-Amz-Date=2", "https://h/a?X-Amz-Signature=***&X-Amz-Date=2"),
        ("postgresql://h/db?user=u&password=pw", "postgresql://h/db?user=u&password=***"),
        ('{"a":"http://h:5000","b":"c@d"}', '{"a":"http://h:5000","b":"c@d"}'),
        ("['tracking.uri=http://u:p@h:1','x=a@b']", "['tracking.uri=http://u:***@h:1','x=a@b']"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text, shown):
    assert hide(text) == shown
    assert hide(shown) == shown
    assert is_hidden(shown) == (text != shown)


def test_lists_and_mappings_are_gone_through():
    assert hide({"a": [STORE, 1, None], "b": ({"c": STORE},)}) == {
        "a": [hide(STORE), 1, None],
        "b": ({"c": hide(STORE)},),
    }


def test_a_hidden_word_can_be_read():
    for address in (STORE, DATA):
        word = words_module.write("tracking.uri", hide(address))
        assert words_module.read(word).value == hide(address)


class Listener(Tracker):
    """Keeps all that it is told."""

    run_id = "1234567890"

    def __init__(self):
        self.told = []

    def start(self, *told):
        self.told.append(told[:2])

    def log_dict(self, *told):
        self.told.append(told)

    def finish(self, *told):
        self.told.append(told)


def everything_in(folder):
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_a_runs_folder_tracker_log_and_lines_hold_no_secret(tmp_path, monkeypatch, capsys):
    listener = Listener()
    monkeypatch.setattr(record_module, "build_tracker", lambda *_: listener)
    words = [f"tracking.uri={STORE}", f"dataset.url='{DATA}'"]
    config, _ = compose_config(words)
    record = RunRecord(config, tmp_path, words, "fingerprint")

    def train():
        with log_to(record.folder.log_file, redirect_stderr=False), record.running():
            say(f"reads      {DATA}")
            logging.getLogger("some.library").warning("connecting to %s", STORE)
            record.folder.update_info(note=f"from {DATA}")
            raise NetworkError(f"{DATA} cannot be fetched")

    with pytest.raises(NetworkError) as caught:
        train()
    shown = capsys.readouterr()
    written = everything_in(tmp_path)
    assert "data.example.com" in written
    assert "db.example.com" in written
    assert SECRET not in written + shown.out + shown.err + repr(listener.told) + str(caught.value) + record.command
    assert SECRET not in json.dumps(record.parameters)


def test_no_error_says_a_secret():
    for kind in BertexpError.__subclasses__():
        error = kind(DATA, 15) if kind is RunInterrupted else kind(DATA)
        assert str(error) == hide(DATA)


def test_provenance_says_no_secret():
    assert SECRET not in json.dumps(collect_provenance(["python", "-m", "bertexp", f"tracking.uri={STORE}"]))


def test_an_unexpected_error_of_ours_says_no_secret(monkeypatch):
    from bertexp import __main__ as door

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    try:
        raise ValueError(f"cannot parse {STORE}")
    except ValueError as error:
        door.show_traceback(type(error), error, error.__traceback__)
    assert "ValueError: cannot parse postgresql://ann:***@db" in sys.stderr.getvalue()
    assert "Traceback" in sys.stderr.getvalue()
    assert SECRET not in sys.stderr.getvalue()


SWEEP = ["optimizer.learning_rate=1e-4,3e-4", f"dataset.url='{DATA}'", f"tracking.uri={STORE}"]


def spec_of(words):
    fixed = [word for word in words if "," not in word.partition("=")[2]]
    config, _ = compose_config(fixed)
    return make_spec(words, config)


def test_a_sweeps_study_holds_no_secret_and_its_trials_get_it_from_the_typed_words():
    spec = spec_of(SWEEP)
    assert SECRET not in json.dumps(asdict(spec))
    point = {"optimizer.learning_rate": 1e-4}
    recorded = spec.trial_overrides(point, local_overrides(SWEEP))
    assert SECRET not in " ".join(recorded)
    config, _ = compose_config(put_back(recorded, SWEEP))
    assert (config.dataset.url, config.tracking.uri) == (DATA, STORE)


def test_a_study_that_an_older_version_wrote_goes_on_and_is_not_shown():
    spec = spec_of(SWEEP)
    older = SweepSpec.from_dict(asdict(spec) | {"overrides": put_back(spec.overrides, SWEEP)})
    spec.require_same(older)
    assert SECRET not in repr(older)


def test_a_changed_secret_makes_no_other_sweep():
    changed = [word.replace(SECRET, "another") for word in SWEEP]
    assert spec_of(SWEEP) == spec_of(changed)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No secret in the environment."""
    for name in ("MLFLOW_TRACKING_URI", "PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_run_that_goes_on_takes_the_secret_from_the_typed_address(tmp_path):
    run = RunFolder(tmp_path)
    run.update_info(overrides=[f"tracking.uri={STORE}", "model=tiny"])
    words = with_former_overrides([f"trainer.resume={tmp_path}", f"tracking.uri={STORE}"])
    assert words_module.value_of(words, "tracking.uri") == STORE
    words = with_former_overrides([f"trainer.resume={tmp_path}"])
    assert words_module.value_of(words, "tracking.uri") == hide(STORE)


def test_a_recorded_address_takes_its_secret_from_the_environment(nowhere, monkeypatch):
    without = "postgresql://ann@db.example.com:5432/mlflow"
    assert find_secret(hide(STORE)) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://another.example.com")
    assert find_secret(hide(STORE)) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", STORE)
    assert resolve_uri(hide(STORE), "outputs") == STORE
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert resolve_uri(hide(STORE), "outputs") == without
    monkeypatch.delenv("PGPASSWORD")
    (nowhere / ".pgpass").write_text("db.example.com:5432:mlflow:ann:x\n")
    assert resolve_uri(hide(STORE), "outputs") == without
    with pytest.raises(TrackingError, match="http"):  # libpq does not speak for other servers
        resolve_uri("http://ann:***@db.example.com", "outputs")


def test_without_a_secret_one_sentence_says_where_to_give_it(nowhere):
    with pytest.raises(
        TrackingError, match=r"type the whole address .* MLFLOW_TRACKING_URI .* PGPASSWORD and ~/.pgpass"
    ):
        resolve_uri(hide(STORE), "outputs")
    with pytest.raises(TrackingError, match=r"sweep\.storage=postgresql://ann:\*\*\*@.* PGPASSWORD"):
        open_storage(nowhere, hide(STORE))
    with pytest.raises(NetworkError, match=r"dataset\.url"):
        downloads.fetch(hide(DATA), nowhere / "reviews.csv")
    assert "dataset.url" in downloads.probe([hide(DATA)])[hide(DATA)]


def test_stores_and_storages_that_fail_say_no_secret():
    with pytest.raises(ConfigError) as told:
        check_storage(f"http://ann:{SECRET}@db.example.com")
    assert SECRET not in str(told.value)
    with pytest.raises(TrackingError) as told, must_answer(STORE):
        raise OSError(f"cannot connect to {STORE}")
    assert SECRET not in str(told.value)


def test_a_download_prints_and_keeps_no_secret(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE_SECONDS", 0.0)
    address = f"http://ann:{SECRET}@127.0.0.1:9/data.csv?token={SECRET}"
    with pytest.raises(NetworkError) as told:
        downloads.fetch(address, tmp_path / "data.csv")
    assert "127.0.0.1:9/data.csv" in str(told.value)
    shown = capfd.readouterr()
    assert SECRET not in str(told.value) + shown.out + shown.err + everything_in(tmp_path)


def test_hydras_page_of_the_config_shows_no_secret():
    words = ["-m", "bertexp", "--cfg", "job", f"tracking.uri={STORE}"]
    shown = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert f"uri: {hide(STORE)}" in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr
