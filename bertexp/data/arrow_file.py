"""Arrow files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from bertexp.system.files import atomic_file


def write_arrow(table: pa.Table, path: Path) -> None:
    """Writes ``table`` with its metadata, in at least one record batch, also if it has no rows."""
    schema = table.schema
    batches = table.to_batches() or [pa.record_batch([pa.array([], type) for type in schema.types], schema=schema)]
    with atomic_file(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
