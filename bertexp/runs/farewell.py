"""The last lines of a run: commands to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertexp.config.schema import RunConfig
from bertexp.config.words import command_line, write
from bertexp.runs.record import RunRecord
from bertexp.system.console import labelled, say

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset


def say_farewell(record: RunRecord, dataset: TextDataset, exported: bool) -> None:
    """Three lines to paste."""
    run, tracking = record.config.run, record.config.tracking
    say()
    if record.tracker.run_id:
        where = [write("run.outputs_dir", run.outputs_dir)] if run.outputs_dir != RunConfig.outputs_dir else []
        where += [write("tracking.uri", tracking.uri)] if tracking.uri else []
        say(labelled("see it", command_line("ui", *where)))
    if exported:
        texts = " ".join(f'"{text}"' for text in dataset.spec.placeholders(dataset.has_pair))
        say(labelled("use it", f"{command_line('predict', record.folder.shown)} {texts}"))
    say(labelled("repeat it", record.command))
