"""The UI command: an address that answers, a clean end, one sentence where there is nothing to show."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import pytest

from bertexp.commands import ui
from bertexp.errors import TrackingError


@pytest.fixture
def config(outputs, monkeypatch):
    """Stands in for the composed config, which is tested where it is made."""
    config = SimpleNamespace(
        run=SimpleNamespace(outputs_dir=str(outputs)), tracking=SimpleNamespace(uri=None, experiment="bertexp")
    )
    monkeypatch.setattr(ui, "compose_config", lambda overrides: (config, ""))
    return config


def test_a_missing_store_says_what_to_run_first(config, tmp_path):
    config.run.outputs_dir = str(tmp_path / "empty")
    with pytest.raises(TrackingError, match="start a run first"):
        ui.main([])


def test_a_server_is_named_and_not_served_again(config, capsys):
    config.tracking.uri = "http://user:secret@host:5000"
    assert ui.main([]) == 0
    said = capsys.readouterr().out
    assert "host:5000" in said
    assert "secret" not in said


def test_a_port_in_use_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert ui.find_free_port("127.0.0.1", port) > port


def test_the_pages_open_and_ctrl_c_takes_the_server_along(outputs):
    port = ui.find_free_port("127.0.0.1", 5600)
    code = f"import sys; from bertexp.commands.ui import main; sys.exit(main(['--port={port}', 'run.outputs_dir={outputs}']))"
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=outputs)
    try:
        assert "mlflow.db" in started.stdout.readline()
        assert f"open http://127.0.0.1:{port}" in started.stdout.readline()
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()
        assert "<title>MLflow</title>" in page
    finally:
        os.kill(started.pid, signal.SIGINT)
    assert started.wait(30) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
