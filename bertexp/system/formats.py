"""Format numbers: of the JSON files that a later bertexp must still read, and that an earlier one must not misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bertexp.errors import FormatUnknown

FIRST = 1  # that of a file without a number: commit 8e6fea5 and earlier ones wrote none


def read_numbered(path: Path, newest: int) -> dict[str, Any]:
    """The content of a JSON file whose ``format`` is at most ``newest``; it has that key whether or not it was written.

    Raises:
        FileNotFoundError: there is no such file.
        FormatUnknown: a later bertexp wrote it.
    """
    content: dict[str, Any] = {"format": FIRST} | json.loads(path.read_text(encoding="utf-8"))
    if content["format"] > newest:
        raise FormatUnknown(
            f"{path} has format {content['format']}, and this bertexp reads up to {newest}: a later one wrote it; upgrade "
            "bertexp to go on with it"
        )
    return content
