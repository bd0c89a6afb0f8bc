"""The UI command: an address that answers, a clean end, one sentence where there is nothing to show."""

import errno
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import pytest

from bertexp.commands import ui
from bertexp.errors import EnvironmentProblem, TrackingError


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


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        return probe.connect_ex(("::1", 9)) != errno.EADDRNOTAVAIL


HOSTS = [
    ("127.0.0.1", "127.0.0.1"),
    pytest.param("::", "[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")),
]


@pytest.mark.parametrize(("host", "loopback"), HOSTS)
def test_a_port_in_use_is_passed_over(host, loopback):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((loopback.strip("[]"), 0), family=family) as taken:
        port = taken.getsockname()[1]
        assert ui.find_free_port(loopback.strip("[]"), port) > port


def test_a_host_that_is_not_of_this_machine_is_one_sentence():
    with pytest.raises(EnvironmentProblem, match=r"at 192\.0\.2\.1; give another with --port or --host"):
        ui.find_free_port("192.0.2.1", 5600)


@pytest.mark.parametrize(("host", "loopback"), HOSTS)
def test_the_pages_open_and_ctrl_c_takes_the_server_along(outputs, host, loopback):
    port = ui.find_free_port(host, 5600)
    words = [f"--port={port}", f"--host={host}", f"run.outputs_dir={outputs}"]
    code = f"import sys; from bertexp.commands.ui import main; sys.exit(main({words}))"
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=outputs)
    try:
        assert "mlflow.db" in started.stdout.readline()
        assert f"open http://{loopback}:{port}" in started.stdout.readline()
        page = urllib.request.urlopen(f"http://{loopback}:{port}/").read().decode()
        assert "<title>MLflow</title>" in page
    finally:
        os.kill(started.pid, signal.SIGINT)
    assert started.wait(120) == 0
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        assert probe.connect_ex((loopback.strip("[]"), port)) != 0
