"""A run and a sweep whose store has a password in its address: it stands in nothing that they write or print."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from shell import bertexp

SECRET = "s3cr3t-of-ours"
SMALL = ["dataset.limit_train=64", "dataset.limit_val=32", "dataset.limit_test=32", "trainer.max_epochs=1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port of an MLflow server, which takes any password, and the folder in which it keeps what it is told."""
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    with open(folder.parent / "server.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words, "--artifacts-destination", str(folder / "artifacts")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            time.sleep(0.5)
        yield port, folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def holders(folder: Path) -> list[str]:
    """Files below ``folder`` that hold the secret."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.long
def test_no_file_and_no_line_holds_the_password(server, tmp_path):
    port, kept = server
    address = f"tracking.uri=http://ann:{SECRET}@127.0.0.1:{port}"
    run = bertexp(*SMALL, address, cwd=tmp_path)
    sweep = bertexp(
        *["-m", "optimizer.learning_rate=1e-3,3e-3", "sweep.name=two", *SMALL, "export.enabled=false", address],
        cwd=tmp_path,
    )
    for ended in (run, sweep):
        assert ended.status == 0, ended.err
        assert SECRET not in ended.out + ended.err
    assert f"http://ann:***@127.0.0.1:{port}" in run.out
    infos = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/sweeps/two/trial-*/run.json")]
    assert [info["state"] for info in infos] == ["completed", "completed"]
    assert (kept / "mlflow.db").stat().st_size > 0
    assert (tmp_path / "outputs/sweeps/two/report.html").exists()
    assert holders(tmp_path) + holders(kept) == []
