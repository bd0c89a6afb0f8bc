"""Arrow files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow as pa


def write_arrow(table: pa.Table, path: Path) -> None:
    """Writes ``table`` with its metadata through a temporary file beside ``path``, fsync and a rename.

    There is at least one record batch, also of a table without rows.
    """
    schema = table.schema
    batches = table.to_batches() or [pa.record_batch([pa.array([], type) for type in schema.types], schema=schema)]
    handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
