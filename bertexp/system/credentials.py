"""Passwords and tokens in addresses: hidden in all that bertexp writes or prints, and taken anew when a run goes on.

Light, and without bertexp's errors: these hide what they say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

T = TypeVar("T")

HIDDEN = "***"
WAYS = "type the whole address again, or set MLFLOW_TRACKING_URI to it; PostgreSQL also takes PGPASSWORD and ~/.pgpass"
_PORT = r"\d{1,5}(?:[^\w.%+@-]|$)"  # what may stand after a host's colon
_LOGIN = re.compile(rf"(://[^:/@\s\"'\[]*:)(?!\s|{_PORT})(?:[^\s\"'<>]+@|[^@\n\"'<>]+@)")  # spaces only if need be
_QUERY = re.compile(
    r"([?&;](?:[\w.-]*(?:passw(?:or)?d|pwd|secret|token|signature|credential|api[_-]?key)[\w.-]*|sig|key|auth)=)"
    r"[^\s&;#\"'<>]+",
    re.IGNORECASE,
)


def hide(value: T) -> T:
    """Writes ``://user:***@`` for ``://user:secret@`` and ``?token=***`` for ``?token=secret``.

    Args:
        value: a text, or lists and mappings of texts and other values.
    """
    if isinstance(value, str):
        return type(value)(_QUERY.sub(rf"\1{HIDDEN}", _LOGIN.sub(rf"\1{HIDDEN}@", value)))
    if isinstance(value, dict):
        return type(value)({key: hide(inner) for key, inner in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(map(hide, value))
    return value


def is_hidden(address: str) -> bool:
    """Whether the address is one that ``hide`` took something out of."""
    return HIDDEN in address and hide(address) == address


def put_back(words: Iterable[str], typed: Iterable[str]) -> list[str]:
    """Gives recorded words their secrets back from the words that the user has typed now."""
    whole = {hide(word): word for word in typed}
    return [whole.get(word, word) for word in words]


def find_secret(address: str) -> str | None:
    """A recorded store's address that can be used: from MLFLOW_TRACKING_URI, or without a password if libpq has it.

    None: the secret is nowhere.
    """
    known = os.environ.get("MLFLOW_TRACKING_URI", "")
    if hide(known) == address:
        return known
    parts = urlsplit(address)
    pgpass = Path(os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")
    if parts.scheme.startswith("postgresql") and ("PGPASSWORD" in os.environ or pgpass.is_file()):
        login, _, server = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login.partition(':')[0]}@{server}"))
    return None
