"""The way to an MLflow store: its address, a client that talks to it, and one sentence when it cannot be used."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from bertexp.errors import TrackingError
from bertexp.system.credentials import WAYS, find_secret, is_hidden
from bertexp.system.files import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE_SERVERS = ("postgresql", "mysql")
CONNECT_SECONDS = 5
SQLITE_BEGIN = b"SQLite format 3\0"
_CHATTERS = ("mlflow", "alembic", "sqlalchemy.engine", "huey")
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # a file:// address was asked for by name
    "MLFLOW_UV_AUTO_DETECT": "false",  # the working directory's uv.lock does not describe our model
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # we keep what is not delivered, and try again ourselves
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
}


def artifacts_folder(outputs_dir: str | os.PathLike[str]) -> Path:
    """Returns where the artifacts of a store without a server of its own lie."""
    return Path(outputs_dir).resolve() / "mlartifacts"


def resolve_uri(uri: str | None, outputs_dir: str | os.PathLike[str]) -> str:
    """Makes ``tracking.uri`` absolute: a relative one would follow the working directory. Null is the local store.

    In ``sqlite:`` and ``file:`` addresses ``%20`` is a space.

    Raises:
        TrackingError: the address has a scheme that MLflow does not speak, or a run's record holds it without its
            password and that is nowhere to be found.
    """
    if not uri:
        return _sqlite_address(Path(outputs_dir) / "mlflow.db")
    if is_hidden(uri):
        if known := find_secret(uri):
            return known
        raise TrackingError(f"the password of tracking.uri={uri} is not kept: {WAYS}")
    scheme, _, rest = uri.partition(":")
    if not rest or os.path.sep in scheme:  # a plain folder
        return Path(uri).resolve().as_uri()
    if path := local_path(uri):
        return path.resolve().as_uri() if scheme == "file" else _sqlite_address(path, uri.partition("?")[2])
    if scheme.split("+")[0] in (*DATABASE_SERVERS, "http", "https", "databricks"):
        return uri
    raise TrackingError(
        f"tracking.uri={uri} is not an MLflow address: give sqlite:////folder/mlflow.db, file:///folder, "
        f"http(s)://host:port or postgresql://user@host/database"
    )


def local_path(uri: str) -> Path | None:
    """Returns the file or folder that an address means, None for a server."""
    if uri.startswith("sqlite:///"):
        return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))
    if not uri.startswith("file:"):
        return None
    rest = uri.removeprefix("file:")
    return Path(unquote("/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest))


def _sqlite_address(path: Path, options: str = "") -> str:
    """Writes what SQLAlchemy would decode (from 2.1 on) or take for options in its own code; nothing else."""
    text = str(path.resolve())
    if not metadata.version("sqlalchemy").startswith("2.0."):
        text = re.sub(r"%(?=[0-9A-Fa-f]{2})|\?", lambda match: quote(match[0]), text)
    return f"sqlite:///{text}" + (f"?{options}" if options else "")


def set_environment() -> None:
    """Sets what MLflow reads when it is imported; to be done before native threads may read the environment."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def open_store(uri: str) -> MlflowClient:
    """Opens the store at a resolved address, and creates it if it is new; raises what its driver raises."""
    set_environment()
    from mlflow import MlflowClient

    _send_chatter_to_the_log()
    path = local_path(uri)
    # MLflow's migrations of an sqlite file are not atomic: one process at a time creates a local store
    with locked(path.with_name(f"{path.name}.lock")) if path else nullcontext():
        _knock(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def look_at(path: Path) -> None:
    """Looks whether a local store can be there, without MLflow.

    Raises:
        OSError: the folder cannot be written, or what is there is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        with path.open("r+b") as file:
            begin = file.read(len(SQLITE_BEGIN))
        if begin and begin != SQLITE_BEGIN:
            raise OSError("file is not a database")
    else:
        tempfile.TemporaryFile(dir=path if path.is_dir() else path.parent).close()


@contextmanager
def must_answer(uri: str) -> Iterator[None]:
    """Turns whatever a driver, server or file system raises into one sentence."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        raise TrackingError(
            f"the MLflow store {uri} cannot be used ({first_line(error)}); give another tracking.uri, or "
            f"tracking=none to run without a record"
        ) from error


def _knock(uri: str) -> None:
    """Fails within seconds at a dead address, which MLflow would try again for minutes."""
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        import requests

        requests.get(f"{uri.rstrip('/')}/health", timeout=CONNECT_SECONDS)  # any answer will do
    elif scheme.split("+")[0] in DATABASE_SERVERS:
        import sqlalchemy

        sqlalchemy.create_engine(uri, connect_args={"connect_timeout": CONNECT_SECONDS}).connect().close()


def _send_chatter_to_the_log() -> None:
    """Takes MLflow's and its libraries' own handlers off the terminal; the run's log file still gets the lines."""
    for name in _CHATTERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.addHandler(logging.NullHandler())  # no last-resort printing where nothing else listens
        logger.propagate = True


def first_line(error: BaseException) -> str:
    """Returns what an error comes down to: the kind of its first cause and the beginning of what that says."""
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
