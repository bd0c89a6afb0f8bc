"""The funnel: whatever ends a run, the folder and the tracker are told, and the first error is the one that is shown."""

import contextlib
import logging
import shutil

import pytest

from bertexp.config.resolve import compose_config
from bertexp.errors import DataError, EnvironmentProblem, RunInterrupted, RunPruned
from bertexp.runs import record as module
from bertexp.runs.record import RunRecord
from bertexp.system.console import log_to
from bertexp.tracking.base import Tracker


class Listener(Tracker):
    """Remembers how the run was said to end."""

    run_id = None

    def __init__(self):
        self.ends = []

    def finish(self, state, reason=""):
        self.ends.append((str(state), reason))


@pytest.fixture
def listener(monkeypatch):
    listener = Listener()
    monkeypatch.setattr(module, "build_tracker", lambda *_: listener)
    return listener


def open_record(folder):
    config, _ = compose_config([])
    return RunRecord(config, folder, [], "fingerprint")


def ended_by(record, error):
    with record.running():
        if error:
            raise error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, "completed"),
        (DataError("no rows"), "failed"),
        (ZeroDivisionError(), "failed"),
        (RunPruned("worse than most"), "pruned"),
        (RunInterrupted("stopped", 15), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_folder_and_tracker_are_told_the_same_end(tmp_path, listener, error, state):
    record = open_record(tmp_path)
    if error is None:
        ended_by(record, None)
    else:
        with pytest.raises(type(error)):
            ended_by(record, error)
    assert listener.ends == [(state, record.folder.info["reason"])]
    assert record.folder.info["state"] == state


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk_at_the_end_still_reaches_the_tracker(small_disk, listener):
    record = open_record(small_disk / "run")
    with pytest.raises(EnvironmentProblem, match="no space is left"), record.running():
        fill(small_disk)
    ((state, reason),) = listener.ends
    assert state == "failed"
    assert "no space is left" in reason


def test_a_full_disk_does_not_hide_the_first_error(small_disk, listener, capsys):
    record = open_record(small_disk / "run")

    def train():
        with log_to(record.folder.log_file, redirect_stderr=False), record.running():
            fill(small_disk)
            logging.getLogger("bertexp").info("x" * 10_000)
            raise DataError("row 7 is broken")

    with pytest.raises(DataError, match="row 7"):
        train()
    assert listener.ends == [("failed", "row 7 is broken")]
    shown = capsys.readouterr()
    assert "warning    " in shown.out
    assert "no space is left" in shown.out
    assert "Traceback" not in shown.err


def test_a_run_that_cannot_begin_ends_in_the_tracker_too(tmp_path, listener, monkeypatch):
    monkeypatch.setattr(listener, "log_dict", lambda *_: shutil.rmtree(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError):
        ended_by(open_record(tmp_path), None)
    assert [state for state, _ in listener.ends] == ["failed"]


def test_a_run_that_goes_on_does_not_tell_the_end_it_had_before(tmp_path, listener):
    with pytest.raises(RunInterrupted):
        ended_by(open_record(tmp_path), RunInterrupted("stopped by SIGINT", 2))
    record = open_record(tmp_path)
    with record.running():
        assert (record.folder.info["state"], record.folder.info["reason"]) == ("running", "")
