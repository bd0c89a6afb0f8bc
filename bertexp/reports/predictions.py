"""A split's predictions on disk: written from batches in any order, read back a few thousand rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.dataset import dataset as open_dataset

from bertexp.system.files import atomic_file, scratch_folder

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.interfaces import Report
    from bertexp.training.evaluation import Batch

ROWS_AT_ONCE = 4096  # that are held in memory, with their texts
SCRATCH_FILES = 32  # of more than ROWS_AT_ONCE rows each if there are many; one is held in memory, without texts
ROW = "row"  # column of the scratch files: which row of the split an example is of


@contextmanager
def write_predictions(
    path: Path, dataset: TextDataset, split: str, report: Report
) -> Iterator[Callable[[Batch], None]]:
    """Gives a function that takes batches; when the body ends, ``path`` holds the rows seen, in the split's order.

    A row of the parquet file is the split's own row with the columns that ``report`` makes of it: ``label`` (if known) and
    ``predicted``, both in words, and what else there is to know. The file's metadata name the task and how many classes it has.
    """
    with scratch_folder(path.parent) as folder:
        sorter = _Sorter(folder, dataset.splits[split].num_rows)
        yield lambda batch: sorter.add(batch.rows, report.read(batch.truth, batch.logits))
        metadata = {"task": dataset.task, "classes": str(len(dataset.label_names))}
        with atomic_file(path, "wb") as file, ExitStack() as stack:
            writer = None
            for rows, found in sorter.slices():
                table = dataset.take(split, rows)
                columns = report.finish(table, found)
                texts = table.drop_columns(["label"])
                names = [*texts.column_names, *columns]
                table = pa.table([*texts.columns, *columns.values()], names, metadata=metadata)
                writer = writer or stack.enter_context(pq.ParquetWriter(file, table.schema))
                writer.write_table(table)


def read_slices(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The named columns of a file of predictions, at most ``ROWS_AT_ONCE`` rows at a time."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(ROWS_AT_ONCE, columns=list(columns))


def read_rows(path: Path, rows: np.ndarray) -> list[dict[str, Any]]:
    """A few rows <int>[n] with all their columns, in the order in which they are named."""
    return open_dataset(path, format="parquet").take(rows).to_pylist()


class _Sorter:
    """Brings the examples of batches into the order of their rows, through files.

    Args:
        folder: an empty one, for scratch files.
        rows: of the split; examples with neighbouring rows go to one file.
    """

    def __init__(self, folder: Path, rows: int):
        self._folder = folder
        self._rows_in_file = max(ROWS_AT_ONCE, -(-rows // SCRATCH_FILES))
        self._waiting: list[pa.Table] = []
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def add(self, rows: np.ndarray, columns: Mapping[str, pa.Array]) -> None:
        """Takes examples of the rows <int64>[n], with columns of n values each."""
        self._waiting.append(pa.table({ROW: rows, **columns}))
        if sum(table.num_rows for table in self._waiting) >= ROWS_AT_ONCE:
            self._write()

    def slices(self) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """Rows <int64>[<= ROWS_AT_ONCE], ascending, with all their examples; a row's stand in the order they came in."""
        if self._waiting:
            self._write()
        for writer in self._writers.values():
            writer.close()
        for number in sorted(self._writers):
            with pa.ipc.open_stream(self._folder / str(number)) as stream:
                found = stream.read_all().sort_by(ROW).combine_chunks()
            begins = np.unique(found[ROW].to_numpy(), return_index=True)[1]
            for begin, end in pairwise([*begins[::ROWS_AT_ONCE], found.num_rows]):
                examples = found.slice(begin, end - begin)
                yield np.unique(examples[ROW].to_numpy()), examples

    def _write(self) -> None:
        waiting, self._waiting = pa.concat_tables(self._waiting), []
        numbers = waiting[ROW].to_numpy() // self._rows_in_file
        for number in np.unique(numbers).tolist():
            if number not in self._writers:
                self._writers[number] = pa.ipc.new_stream(str(self._folder / str(number)), waiting.schema)
            self._writers[number].write_table(waiting.filter(pa.array(numbers == number)))
