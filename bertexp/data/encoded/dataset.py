"""A data set of rows that were encoded earlier: word pieces' ids where others have texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.config.schema import DatasetConfig
from bertexp.data.encoded.encoding import Encoding, check_length, fingerprint_of
from bertexp.data.encoded.records import LABEL, Frame, join_frames, read_split
from bertexp.data.labels import make_labels
from bertexp.data.sets.spec import SETS
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError
from bertexp.tasks.registry import find_task, tasks_for


@dataclass(frozen=True)
class EncodedDataset(TextDataset):
    """``text`` and ``text_pair`` of its splits are <large_list<int32>>, without special tokens."""

    frame: Frame
    encoding: Encoding | None  # where `encoded.json` lies beside the files
    vocab: tuple[str, ...] = ()

    def spelled_by(self, vocab: Sequence[str], lowercase: bool, strip_accents: bool = True) -> EncodedDataset:
        """The same rows, with the word pieces that the ids stand for.

        Raises:
            DataError: the rows were made with another vocabulary.
        """
        frame, encoding = self.frame, self.encoding
        if encoding is not None and encoding.vocabulary != fingerprint_of(vocab):
            raise DataError(
                f"the rows were encoded with the vocabulary {encoding.vocabulary}, and the model has {fingerprint_of(vocab)} "
                f"({len(vocab):,} pieces): train the model that it was encoded for, or encode the texts for this one"
            )
        if encoding is not None and encoding.lowercase != lowercase:
            raise DataError(
                f"{self.source} was encoded with lowercase={encoding.lowercase}, and the model has lowercase={lowercase}: "
                f"set model.lowercase={str(encoding.lowercase).lower()} if that is right, or encode the texts for this model"
            )
        if encoding is not None and lowercase and encoding.strip_accents != strip_accents:
            raise DataError(
                f"{self.source} was encoded with strip_accents={encoding.strip_accents}, and the model has "
                f"strip_accents={strip_accents}: set model.strip_accents={str(encoding.strip_accents).lower()} if that is right, "
                "or encode the texts for this model"
            )
        if frame.largest_id >= len(vocab):
            raise DataError(
                f"{self.source} holds the id {frame.largest_id}, and the model's vocabulary has {len(vocab):,} pieces: "
                "encode the texts for this model"
            )
        if (vocab[frame.cls_id], vocab[frame.sep_id]) != ("[CLS]", "[SEP]"):
            raise DataError(
                f"the rows of {self.source} begin with the id {frame.cls_id} and end with {frame.sep_id}, which are "
                f"{vocab[frame.cls_id]!r} and {vocab[frame.sep_id]!r} to the model, not [CLS] and [SEP]: encode the texts "
                "for this model"
            )
        return replace(self, vocab=tuple(vocab))

    def take(self, split: str, rows: np.ndarray) -> pa.Table:
        """The named rows with their pieces joined to words, <string>, in place of the ids."""
        table = super().take(split, rows)
        for index, name in enumerate(table.column_names):
            if pa.types.is_large_list(table[name].type):
                table = table.set_column(index, name, spell(table[name], self.vocab))
        return table


def spell(ids: pa.ChunkedArray, vocab: Sequence[str]) -> pa.Array:
    """Texts <string>[rows] of word pieces <large_list<int32>>[rows]: pieces that go on with a word are joined to it.

    Where no piece is [UNK] and a text does not begin within a word, the tokenizer makes the same ids of it again.
    """
    lists = ids.combine_chunks()
    pieces = pa.array(vocab, pa.string()).take(lists.flatten())
    offsets = np.concatenate([[0], np.cumsum(pc.list_value_length(lists).to_numpy())])
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pieces), " ")
    return pc.replace_substring(joined, " ##", "")


def load_encoded(
    config: DatasetConfig,
    task: str,
    files: Mapping[str, Sequence[Path]],
    encoding: Encoding | None,
    cache_dir: Path,
) -> EncodedDataset:
    """Reads the splits; what ``encoding`` does not say is held out of ``train`` as of any files.

    Raises:
        DataError: a file is damaged, or the labels are not those of the task.
    """
    read = {split: read_split(paths, cache_dir) for split, paths in files.items()}
    source = str(files["train"][0].parent)
    frame = join_frames([frame for _, frame in read.values()], source)
    check_length(config, frame.width, source)
    if not read["train"][1].values:
        raise DataError(f"{source}: the training rows have no {LABEL}, so there is nothing to learn")
    tables = {split: table for split, (table, _) in read.items()}
    has_pair = any("text_pair" in table.column_names for table in tables.values())
    tables = {split: _complete(table, task, has_pair, source) for split, table in tables.items()}
    labelled = [tables[split]["label"] for split, (_, frame) in read.items() if frame.values]
    has_classes = find_task(task).has_classes
    names = _label_names(config, labelled, frame.values, encoding, source) if has_classes else ()
    if encoding is None:
        tables = hold_out_absent(tables, names, config)
    origin = f"{source}, encoded from {encoding.source}" if encoding else source
    dataset = make_dataset(config, task, tables, names, origin)
    return EncodedDataset(**vars(dataset), frame=frame, encoding=encoding)


def _label_names(
    config: DatasetConfig, labels: Sequence[pa.ChunkedArray], values: int, encoding: Encoding | None, source: str
) -> tuple[str, ...]:
    """The classes: as set, as encoded, or as many as the labels of ``values`` numbers each show, numbered.

    Raises:
        DataError: a label is no class, or there are more classes than names.
    """
    names = tuple(config.label_names or (encoding.label_names if encoding else ()))
    indices = np.concatenate([_indices(label) for label in labels])
    classes = values if values > 1 else int(indices.max()) + 1
    if indices.min(initial=0) < 0:
        raise DataError(f"{source}: {LABEL} holds {indices.min()}, and classes are numbered from 0")
    if names and classes > len(names):
        raise DataError(
            f"{source}: {LABEL} tells {classes} classes apart, and {len(names)} are named ({', '.join(names)}); set "
            "dataset.label_names to all of them"
        )
    return names or tuple(map(str, range(classes)))


def _indices(label: pa.ChunkedArray) -> np.ndarray:
    return label.combine_chunks().flatten().to_numpy() if pa.types.is_list(label.type) else label.to_numpy()


def _complete(table: pa.Table, task: str, has_pair: bool, source: str) -> pa.Table:
    """With all columns of a data set for ``task``; of missing labels, with the value for none.

    Raises:
        DataError: the labels are of another task.
    """
    if has_pair and "text_pair" not in table.column_names:
        nothing = pa.array([[]] * table.num_rows, table["text"].type)
        table = table.add_column(1, "text_pair", nothing)
    labels = make_labels(find_task(task).label_form)
    if "label" not in table.column_names:
        return table.append_column("label", labels.encode(None, table.num_rows))
    label = table["label"]
    if pa.types.is_floating(labels.type) and pa.types.is_integer(label.type):  # whole numbers are numbers, too
        return table.set_column(table.num_columns - 1, "label", label.cast(labels.type))
    if label.type != labels.type:
        form = next(form for form in SETS["tfrecord"].labels if make_labels(form).type == label.type)
        fitting = tasks_for(form)
        raise DataError(
            f"{source}: {LABEL} holds {make_labels(form).said}, which are labels for {fitting}; add {fitting}"
        )
    return table
