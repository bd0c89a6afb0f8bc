"""The data before training: sizes, classes, lengths, what is cut off, and rows as the encoder sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress, groupby
from textwrap import wrap
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.table import TextDataset
from bertexp.system.console import aligned, labelled

FEW_ROWS = 1_000
MANY_PARAMETERS_PER_ROW = 10_000
_CLASSES_SHOWN = 4
_CLASSES_LISTED = 20
_NAME_WIDTH = 40
_ROOM = 118 - len(labelled("", ""))  # characters of a line behind its label


@dataclass(frozen=True)
class Sample:
    """One row as text and as the encoder sees it; all lists have the length of the sample's batch."""

    text: str
    text_pair: str | None
    label: str
    pieces: list[str]
    mask: list[int]
    type_ids: list[int]


@dataclass(frozen=True)
class SplitSummary:
    """One split in numbers."""

    rows: int
    class_rows: dict[str, int]  # empty where the split has no labels or the task no classes
    label_quantiles: dict[str, float]  # min, median, max of numbers; empty of other labels
    length_quantiles: dict[str, int]  # p50, p90, p99, max; word pieces with [CLS] and [SEP], before truncation
    truncated_share: float  # of the rows
    in_training: int  # rows that have the texts of a training row; of the training split 0


@dataclass(frozen=True)
class DatasetSummary:
    """What there is to see of a data set before a model is trained on it."""

    dataset: TextDataset
    max_length: int
    splits: dict[str, SplitSummary]
    samples: list[Sample]
    trained_parameters: int
    recommendation: str | None

    def as_dict(self) -> dict[str, Any]:
        """Returns plain numbers, strings, lists and dicts, ready for JSON."""
        described = ("name", "source", "fingerprint", "label_names", "skipped", "notes")
        return {name: getattr(self.dataset, name) for name in described} | {
            "max_length": self.max_length,
            "splits": {split: asdict(summary) for split, summary in self.splits.items()},
            "samples": [asdict(sample) for sample in self.samples],
            "trained_parameters": self.trained_parameters,
            "recommendation": self.recommendation,
        }

    def text(self) -> str:
        """Returns the summary as about twenty lines for a terminal."""
        data, spec = self.dataset, self.dataset.spec
        kind = f"{len(data.label_names)} {spec.nouns[1]}" if spec.has_classes else spec.nouns[1]
        lines = [
            labelled("data", f"{data.name}, {kind}, fingerprint {data.fingerprint}"),
            labelled("source", _short(data.source)),
        ]
        if data.skipped:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in data.skipped.items())
            lines.append(labelled("left out", f"{sum(data.skipped.values()):,} bad rows: {reasons}"))
        lines += [labelled("note", note) for note in data.notes]
        lines += self._classes()
        lines += self._table()
        for number, sample in enumerate(self.samples, start=1):
            text = sample.text if sample.text_pair is None else f"{sample.text} | {sample.text_pair}"
            lines.append(labelled(f"sample {number}", _short(text if spec.reads_words else f"{sample.label}: {text}")))
            if spec.reads_words:
                lines.append(labelled("  tags", _short(sample.label)))
            lines.append(labelled("  pieces", _short(" ".join(compress(sample.pieces, sample.mask)))))
            types = f", type {_runs(sample.type_ids)}" if sample.text_pair is not None else ""
            lines.append(labelled("  mask", f"{_runs(sample.mask)}{types}"))
        if self.recommendation:
            lines.append(labelled("hint", self.recommendation))
        for split, summary in self.splits.items():
            if summary.in_training:
                shared = f"{summary.in_training:,} of {summary.rows:,} rows of {split} have the text of a training row"
                lines.append(labelled("hint", f"{shared}: they show what was remembered"))
        if data.tests_on_validation:
            same = "val and test are the same rows: what val chooses looks better on test than it is"
            lines.append(labelled("hint", same))
        return "\n".join(lines)

    def _classes(self) -> list[str]:
        """The classes with their training rows, the largest ones if there are many."""
        counts = self.splits["train"].class_rows
        listed = [*counts] if len(counts) <= _CLASSES_LISTED else sorted(counts, key=lambda name: -counts[name])
        words = [f"{_short(name, _NAME_WIDTH)} {counts[name]:,}" for name in listed[:_CLASSES_LISTED]]
        more = [f"{len(counts) - _CLASSES_LISTED} more"] if len(counts) > _CLASSES_LISTED else []
        lines = wrap(", ".join([*words, *more]), _ROOM, break_on_hyphens=False)
        return [labelled("" if number else self.dataset.spec.nouns[1], line) for number, line in enumerate(lines)]

    def _table(self) -> list[str]:
        names = self.dataset.label_names
        kind = self.dataset.spec.nouns[0]
        shown = names if len(names) <= _CLASSES_SHOWN else (f"largest {kind}", f"smallest {kind}")
        if pa.types.is_floating(self.dataset.splits["train"]["label"].type):
            shown = ("label min", "median", "max")
        header = ["", "rows", *shown, "pieces p50", "p90", "p99", "max", f"over {self.max_length}"]
        lines = [header]
        for split, summary in self.splits.items():
            of = sum(summary.class_rows.values()) if self.dataset.spec.reads_words else summary.rows
            shares = [count / of for count in summary.class_rows.values()]
            if len(names) > _CLASSES_SHOWN and shares:
                shares = [max(shares), min(shares)]
            numbers = [f"{value:.3g}" for value in summary.label_quantiles.values()]
            cells = [f"{share:.1%}" for share in shares] or numbers or ["no label"] * len(shown)
            quantiles = map(str, summary.length_quantiles.values())
            lines.append([split, f"{summary.rows:,}", *cells, *quantiles, f"{summary.truncated_share:.1%}"])
        return aligned([[row[0].ljust(9), *row[1:]] for row in lines], left=1)


def summarize(
    dataset: TextDataset,
    lengths: Mapping[str, np.ndarray],
    max_length: int,
    samples: Sequence[Sample],
    trained_parameters: int,
    pretrained: bool,
) -> DatasetSummary:
    """Counts what there is to see.

    Args:
        lengths: for each split <int>[rows], word pieces of each row with [CLS] and [SEP], before truncation.
        trained_parameters: how many parameters of encoder and head the optimizer changes.
        pretrained: whether the encoder starts from trained weights; only such weights are worth freezing.
    """
    train = dataset.splits["train"]
    splits = {
        split: _summarize_split(table, train, dataset.label_names, lengths[split], max_length)
        for split, table in dataset.splits.items()
    }
    advice = _recommendation(train.num_rows, trained_parameters) if pretrained else None
    return DatasetSummary(dataset, max_length, splits, list(samples), trained_parameters, advice)


def _summarize_split(
    table: pa.Table, train: pa.Table, label_names: Sequence[str], lengths: np.ndarray, max_length: int
) -> SplitSummary:
    return SplitSummary(
        rows=table.num_rows,
        class_rows=_class_rows(table["label"], label_names),
        label_quantiles=_label_quantiles(table["label"]),
        length_quantiles={
            name: int(np.quantile(lengths, share, method="higher"))
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
        },
        truncated_share=float(np.mean(lengths > max_length)),
        in_training=0 if table is train else count_in_training(table, train),
    )


def count_in_training(table: pa.Table, train: pa.Table) -> int:
    """How many rows of ``table`` have the text, and the second text if there is one, of a training row.

    Training rows are gone through once and may be mapped files: what is kept are the texts of ``table``, and numbers.

    Args:
        table: with ``text`` and ``text_pair`` as ``train`` has them: <string>, or word pieces' ids <large_list<int32>>.
    """
    rows = table.num_rows
    own, trained = np.zeros(rows, np.int64), np.zeros(train.num_rows, np.int64)  # equal numbers: equal texts so far
    for name in ("text", "text_pair"):
        if name in train.column_names:
            texts = _comparable(table[name])
            own = own * rows + pc.index_in(texts, value_set=texts).to_numpy()
            found = pc.fill_null(pc.index_in(_comparable(train[name]), value_set=texts), -1).to_numpy()
            trained = np.where((trained < 0) | (found < 0), -1, trained * rows + found)
    return int(np.isin(own, trained[trained >= 0]).sum())


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts <large_string>; of lists the bytes of each <large_binary>, without a copy of them."""
    if not pa.types.is_large_list(column.type):
        return column.cast(pa.large_string())
    rows = []
    for lists in column.chunks:
        ids = lists.values
        offsets = (lists.offsets.to_numpy() + ids.offset) * (ids.type.bit_width // 8)
        buffers = [None, pa.py_buffer(offsets), ids.buffers()[1] or pa.py_buffer(b"")]
        rows.append(pa.Array.from_buffers(pa.large_binary(), len(lists), buffers))
    return pa.chunked_array(rows, pa.large_binary())


def _class_rows(label: pa.ChunkedArray, label_names: Sequence[str]) -> dict[str, int]:
    """How often each class occurs; in rows of several classes or tags, each counts."""
    if pa.types.is_list(label.type):
        label = pa.chunked_array([label.combine_chunks().flatten()])
    if not label_names or not pa.types.is_integer(label.type):
        return {}
    labels = label.to_numpy()
    labelled = labels[labels >= 0]
    counts = np.bincount(labelled, minlength=len(label_names)).tolist()
    return dict(zip(label_names, counts, strict=True)) if len(labelled) else {}


def _label_quantiles(label: pa.ChunkedArray) -> dict[str, float]:
    if not pa.types.is_floating(label.type) or np.isnan(label.to_numpy()).any():
        return {}
    low, middle, high = np.quantile(label.to_numpy(), (0, 0.5, 1))
    return {"min": float(low), "median": float(middle), "max": float(high)}


def _recommendation(rows: int, trained_parameters: int) -> str | None:
    """Advises to freeze the encoder where labels are few.

    The bounds are a rule of thumb of ours; that full fine-tuning on few rows differs much from seed to seed is shown by
    Zhang et al. 2021 ("Revisiting Few-sample BERT Fine-tuning", arXiv:2006.05987). The second bound leaves small
    encoders, and those of which little is trained, alone.
    """
    if rows >= FEW_ROWS or trained_parameters <= MANY_PARAMETERS_PER_ROW * rows:
        return None
    return (
        f"{rows:,} labels for {trained_parameters:,} trained parameters are few: compare with trainable=frozen "
        f"(the head only)"
    )


def _short(text: str, room: int = _ROOM) -> str:
    line = " ".join(text.split())
    return line if len(line) <= room else line[: room - 1].rstrip() + "…"


def _runs(values: Sequence[int]) -> str:
    """Returns ``[1, 1, 1, 0]`` as ``1x3 0x1``."""
    return " ".join(f"{value}x{len(list(group))}" for value, group in groupby(values))
