"""The one canonical form of a data set: Arrow tables of texts and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.errors import DataError
from bertexp.tasks.registry import find_task
from bertexp.tasks.spec import TaskSpec

SPLITS = ("train", "val", "test", "test_mismatched")  # the last: MNLI's second test set, of other genres


@dataclass(frozen=True)
class TextDataset:
    """Labelled texts, split.

    Each split is a table with the columns ``text`` <string>, ``text_pair`` <string> (where ``has_pair``) and ``label``,
    whose type is that of the task's ``label_form`` (in brackets: the value of every row of a split without labels):

        class    <int32>, the index into ``label_names`` (-1)
        classes  <list<int32>>, such indices, ascending (null)
        number   <float32> (NaN)
        tags     <list<int32>>, one index for each of ``words`` <list<string>> (null)
        answers  <list<struct<text: string, start: int32>>>, the answers to ``text`` in ``text_pair`` (null)
    """

    name: str
    task: str  # its name
    splits: dict[str, pa.Table]  # of SPLITS; all but train may be absent
    label_names: tuple[str, ...]
    has_pair: bool
    fingerprint: str  # of all rows and label names, 16 hex digits
    skipped: dict[str, int]  # reason -> bad rows left out
    source: str  # where the rows came from, one phrase
    notes: tuple[str, ...] = field(default=(), kw_only=True)  # what was found, guessed or not read, a sentence each

    @property
    def tests_on_validation(self) -> bool:
        """Whether val and test are the same rows, so that whatever val chose looks better on test than it is."""
        return "val" in self.splits and "test" in self.splits and self.splits["val"].equals(self.splits["test"])

    @property
    def spec(self) -> TaskSpec:
        """What is to be known of the task."""
        return find_task(self.task)

    @property
    def further_tests(self) -> tuple[str, ...]:
        """The labelled splits that are judged beside ``test``."""
        return tuple(split for split in self.splits if split.startswith("test_"))

    @property
    def judged_split(self) -> str:
        """The labelled split that a finished model is judged on: test, or val where test has no labels.

        Raises:
            DataError: neither has any.
        """
        for split in ("test", "val"):
            if split in self.splits and is_labelled(self.splits[split]):
                return split
        raise DataError(
            f"{self.name} has no labelled test or validation rows to judge a model by; "
            "set dataset.test_fraction or dataset.val_fraction above 0, or name a dataset.test_file with labels"
        )

    @property
    def texts(self) -> int:
        """How many texts there are to tokenize in all splits; of tagged sentences each word is one."""
        if self.spec.reads_words:
            return sum(pc.sum(pc.list_value_length(table["words"])).as_py() for table in self.splits.values())
        return sum(table.num_rows for table in self.splits.values()) * (1 + self.has_pair)

    def take(self, split: str, rows: np.ndarray) -> pa.Table:
        """The named rows of a split, <int>[n], as people read them."""
        table = self.splits[split]
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return table.slice(rows[0], len(rows))  # without a copy
        return table.take(rows)

    def spelled_by(self, vocab: Sequence[str], lowercase: bool, strip_accents: bool = True) -> TextDataset:
        """The same rows where they are texts; of word pieces' ids, those that the model's vocabulary spells."""
        return self

    def spell_label(self, label: pa.Scalar) -> str:
        """A row's label in words; ``?`` if it is unknown."""
        spelled = self.spec.spell(label.as_py(), self.label_names)
        return "?" if spelled is None else spelled


def is_labelled(table: pa.Table) -> bool:
    """Whether a split has rows, and labels in them."""
    label = table["label"]
    if not table.num_rows or label.null_count:
        return False
    if pa.types.is_integer(label.type):
        return pc.min(label).as_py() >= 0
    return not (pa.types.is_floating(label.type) and pc.any(pc.is_nan(label)).as_py())


def make_fingerprint(splits: Mapping[str, pa.Table], label_names: Sequence[str]) -> str:
    """Returns 16 hex digits (BLAKE2b, RFC 7693) of what the tables hold, however Arrow has chunked or sliced them."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr([*label_names]).encode())
    for split in sorted(splits):
        table = splits[split]
        digest.update(repr((split, table.num_rows, table.column_names)).encode())
        for column in table.columns:
            _hash_column(digest, column)
    return digest.hexdigest()


def _hash_column(digest: hashlib.blake2b, column: pa.ChunkedArray) -> None:
    """Adds numbers in 64 bits; texts as the lengths of all in bytes, then their bytes; lists as lengths, then values."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lists = column.combine_chunks()
        digest.update(pc.fill_null(pc.list_value_length(lists), -1).to_numpy().astype("<i8").tobytes())
        _hash_column(digest, pa.chunked_array([lists.flatten()]))
        return
    if pa.types.is_struct(column.type):
        for part in column.flatten():
            _hash_column(digest, part)
        return
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        digest.update(column.to_numpy().astype("<f8" if pa.types.is_floating(column.type) else "<i8").tobytes())
        return
    digest.update(pc.fill_null(pc.binary_length(column), 0).to_numpy().astype("<i8").tobytes())
    for chunk in filter(len, column.chunks):
        offsets, data = _offsets(chunk), chunk.buffers()[2]
        if data is not None:
            digest.update(memoryview(data)[offsets[0] : offsets[-1]])


def _offsets(chunk: pa.Array) -> np.ndarray:
    """Returns where each text begins and ends in the chunk's data: <int32 or int64>[rows + 1]."""
    dtype = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    return np.frombuffer(chunk.buffers()[1], dtype)[chunk.offset : chunk.offset + len(chunk) + 1]
