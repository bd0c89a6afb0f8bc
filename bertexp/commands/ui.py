"""``python -m bertexp ui``: MLflow's pages on the store that our runs write to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from bertexp.commands import CommandParser, positive
from bertexp.config.resolve import compose_config
from bertexp.errors import EnvironmentProblem, TrackingError
from bertexp.system.credentials import hide
from bertexp.tracking.mlflow.store import ENVIRONMENT, artifacts_folder, local_path, resolve_uri

START_SECONDS = 120  # a cold start imports MLflow twice
STOP_SECONDS = 10


def main(words: Sequence[str]) -> int:
    """Serves the store until Ctrl-C; returns the exit status.

    Raises:
        TrackingError: there is no store yet.
        EnvironmentProblem: the server did not start.
    """
    options = _parser().read(words)
    config, _ = compose_config(options.settings)
    outputs = config.run.outputs_dir
    uri = resolve_uri(config.tracking.uri, outputs)
    if uri.startswith(("http:", "https:", "databricks")):
        print(f"{hide(uri)} is a server already: open it in a browser")
        return 0
    store = local_path(uri)
    if store is not None and not store.exists():
        raise TrackingError(
            f"there is no MLflow store at {store} yet; start a run first (python -m bertexp), or name another store with "
            f"tracking.uri=… or run.outputs_dir=…"
        )
    port = find_free_port(options.host, options.port)
    if port != options.port:
        print(f"port {options.port} is in use, taking {port}")
    return _serve(uri, options.host, port, config.tracking.experiment, outputs)


def _parser() -> CommandParser:
    parser = CommandParser("ui")
    parser.add_argument("--port", type=positive, default=5000, help="the next free one is taken if it is in use")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 or :: lets other machines in")
    return parser


def find_free_port(host: str, first: int) -> int:
    """Returns ``first``, or the next port after it that nothing listens on.

    Raises:
        EnvironmentProblem: none of the next 50 is free, or the host is not this machine's.
    """
    for port in range(first, min(first + 50, 65536)):
        with contextlib.suppress(OSError):  # the host is unknown, or the port is in use
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return port
    raise EnvironmentProblem(f"no free port from {first} on at {host}; give another with --port or --host")


def _serve(uri: str, host: str, port: int, experiment: str, outputs: str) -> int:
    log_file = Path(outputs).resolve() / "ui.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--default-artifact-root", artifacts_folder(outputs).as_uri()]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    environment = {**ENVIRONMENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    environment["MLFLOW_BACKEND_STORE_URI"] = uri  # not among the words: every user of the machine can list those
    # terminated from outside we must take the server along; Ctrl-C raises KeyboardInterrupt by itself
    former = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with open(log_file, "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        address = f"http://{_reachable(host)}:{port}"
        print(f"starting MLflow on {hide(uri)} (10 seconds or so)", flush=True)
        _wait_until_up(server, address, log_file)
        print(f"open {address}{_page_of(address, experiment)}   (Ctrl-C ends it)", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        print("\nstopped")
        return 0
    finally:
        _stop(server)
        signal.signal(signal.SIGTERM, former)


def _reachable(host: str) -> str:
    """The host as a browser on this machine writes it: of every address the loopback one, of IPv6 in brackets."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{name}]" if ":" in name else name


def _wait_until_up(server: subprocess.Popen[bytes], address: str, log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            _get(f"{address}/health")
            return
        time.sleep(0.2)
    lines = log_file.read_text(errors="replace").strip().splitlines()
    said = lines[-1] if lines else "it said nothing"
    raise EnvironmentProblem(f"the MLflow server did not start ({said}); the whole output is in {log_file}")


def _page_of(address: str, experiment: str) -> str:
    """Returns the path of the experiment's list of runs, empty if the store does not have it."""
    query = urllib.parse.urlencode({"experiment_name": experiment})
    try:
        answer = json.loads(_get(f"{address}/api/2.0/mlflow/experiments/get-by-name?{query}"))
    except OSError:
        return ""
    return f"/#/experiments/{answer['experiment']['experiment_id']}/runs?workflowType=machine_learning"


def _get(address: str) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
    with direct.open(address, timeout=10) as answer:
        return answer.read()


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server with its workers: they are one process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
            return
