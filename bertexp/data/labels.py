"""From labels as a file spells them to what is learned: a class, a set of classes, a number."""

from __future__ import annotations

import ast
import copy
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.classes import is_number, settle_classes, spellings
from bertexp.data.formats.spec import Bad
from bertexp.errors import did_you_mean
from bertexp.tasks.registry import tasks_for

LIST_SEPARATOR = "\x1f"  # between the labels of one row: ASCII's unit separator, which no name holds
_MISSING = ("", "nan", "null")  # in lower case, as a file or the program that wrote it spells that there is no label
_NAMES_SHOWN = 12
_LARGEST = 3.4028234e38  # of <float32>
_ITEM = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[tT]rue|[fF]alse)"""
_LIST = re.compile(rf"\[\s*(?:{_ITEM}\s*(?:,\s*{_ITEM}\s*)*,?\s*)?\]", re.DOTALL)  # of JSON or Python
_LIKE_A_LIST = re.compile(r"\[.*\]|[\[({]\s*['\"].*", re.DOTALL)


def make_labels(form: str, names: Sequence[str] | None = None, separator: str = ",", cleanup: str = "none") -> Labels:
    """The labels of a ``TaskSpec.label_form``; ``names`` if the classes are known; ``cleanup`` as ``dataset.label_cleanup``."""
    if form == "number":
        return NumberLabels()
    return ClassSetLabels(names, separator, cleanup) if form == "classes" else ClassLabels(names, cleanup)


class ClassLabels:
    """One class a row: <int32>, the index into ``names``, -1 for none.

    Columns come as <string>[rows], trimmed, with ``LIST_SEPARATOR`` between the labels of a row.

    Args:
        names: of the classes; none are known yet if empty.
        cleanup: as ``dataset.label_cleanup``.
    """

    type: pa.DataType = pa.int32()  # of canonical labels
    said = "one whole number a row"  # what canonical labels are, for messages

    def __init__(self, names: Sequence[str] | None = None, cleanup: str = "none"):
        self.names, self._cleanup = tuple(names or ()), cleanup
        self._known: Mapping[str, int] = spellings(self.names)  # empty: any label will do
        self._unlabelled: tuple[str, ...] = ()  # spellings of no label outside of the training rows

    def are_clean(self, column: pa.ChunkedArray) -> bool:
        """Whether every cell, spelled, is a label."""
        if pc.any(pc.equal(column, "")).as_py():
            return False
        return not self._known or bool(pc.all(pc.is_in(column, pa.array(list(self._known)))).as_py())

    def spell_column(self, column: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """The labels of a file as found, <any>[rows], spelled as by ``spell``; None where that finds one bad."""
        return None if pa.types.is_nested(column.type) else _spell_distinct(column, self.spell)

    def spell(self, label: object) -> str | Bad:
        """One label as found, spelled as ``are_clean`` and ``encode`` expect it, or what is wrong with it."""
        is_list = isinstance(label, str) and label.strip() not in self.names and _LIST.fullmatch(label.strip())
        if is_list or isinstance(label, list):
            return Bad("no label", f"the label is a list, {repr(label)[:100]}, which {tasks_for('classes')} reads")
        spelled = _spelled(label)
        if spelled is None:
            return Bad("no label", f"the label {repr(label)[:100]} is no text, number or truth value")
        if spelled.lower() in _MISSING and spelled not in self.names:
            cure = (
                f": {spelled!r} is a class only if dataset.label_names has it"
                if isinstance(label, str) and spelled
                else ""
            )
            return Bad("no label", f"the label is missing{cure}")
        if (isinstance(label, float) or is_number(spelled)) and math.isinf(float(spelled)):
            return Bad("no label", f"the label {spelled[:100]} is beyond the numbers that can be told apart")
        if self._known and spelled not in self._known:
            more = ", …" if len(self.names) > _NAMES_SHOWN else ""
            hint = did_you_mean(spelled, self.names)
            known = ", ".join(self.names[:_NAMES_SHOWN])
            return Bad("unknown class", f"the class {spelled!r} is not one of {known}{more}{hint}"[:400])
        return spelled

    def unsettled(self) -> ClassLabels:
        """The same that take any label, to see which ones the files hold."""
        return self._with(_known={})

    def settle(self, found: Mapping[str, pa.ChunkedArray]) -> tuple[ClassLabels, tuple[str, ...]]:
        """The same with the classes that there are, and what is to be said of how their labels are spelled.

        Args:
            found: the labels of each split that has some, train among them, spelled.
        """
        counted = {split: _count(self._every(column)) for split, column in found.items()}
        classes = settle_classes(counted, self.names, self._cleanup)
        settled = self._with(names=classes.names, _known=classes.known, _unlabelled=classes.unlabelled)
        return settled, classes.notes

    def beyond_training(self) -> ClassLabels:
        """The same for rows to validate or test on, where some spellings mean that there is no label."""
        return self._with(_known={**self._known, **dict.fromkeys(self._unlabelled, -1)})

    def encode(self, column: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
        """The canonical labels; of a split without labels (``None``) ``rows`` times the value for none."""
        if column is None:
            return pa.repeat(pa.scalar(-1, pa.int32()), rows)
        positions = pc.index_in(column, value_set=pa.array(list(self._known)))
        return pc.take(pa.array(list(self._known.values()), pa.int32()), positions)

    def _every(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """<string>[labels]: those of all rows."""
        return column

    def _with(self, **changes: object) -> ClassLabels:
        changed = copy.copy(self)
        vars(changed).update(changes)
        return changed


class ClassSetLabels(ClassLabels):
    """Any number of classes a row, none too: <list<int32>>, ascending indices, null for unknown.

    Files give them as a list, or in one cell: with ``separator`` between them, or as JSON or Python writes a list.
    """

    type = pa.list_(pa.int32())
    said = "several whole numbers a row"

    def __init__(self, names: Sequence[str] | None = None, separator: str = ",", cleanup: str = "none"):
        super().__init__(names, cleanup)
        self._separator = separator

    def are_clean(self, column: pa.ChunkedArray) -> bool:
        return super().are_clean(self._every(column))

    def spell_column(self, column: pa.ChunkedArray) -> pa.ChunkedArray | None:
        if not pa.types.is_nested(column.type):
            return _spell_distinct(column, self.spell)
        if not _all_finite(pc.list_flatten(column)):
            return None
        joined = pc.binary_join(column.cast(pa.list_(pa.string())), LIST_SEPARATOR)
        return _spell_distinct(joined, lambda cell: self.spell(cell and cell.split(LIST_SEPARATOR)))

    def spell(self, label: object) -> str | Bad:
        if isinstance(label, str):
            label = self._read_cell(label.strip())
        if isinstance(label, Bad):
            return label
        if not isinstance(label, list):
            given = "missing" if _is_missing(label) else f"not a list of classes but {label!r}"
            return Bad("no label", f"the label is {given}"[:200])
        spelled = [super(ClassSetLabels, self).spell(one) for one in label]
        bad = next((one for one in spelled if isinstance(one, Bad)), None)
        return bad or LIST_SEPARATOR.join(map(str, spelled))

    def _read_cell(self, cell: str) -> list[object] | Bad:
        if cell in self.names or not _LIKE_A_LIST.fullmatch(cell):
            parts = cell.replace(self._separator, LIST_SEPARATOR).split(LIST_SEPARATOR)
            return [part for part in parts if part.strip()]
        for parse in (json.loads, ast.literal_eval) if _LIST.fullmatch(cell) else ():
            try:
                return list(parse(cell))
            except (ValueError, SyntaxError):
                pass
        ways = f'["a", "b"], or a{self._separator}b'
        return Bad(
            "no label", f"the label {cell[:100]!r} looks like a list and is none of JSON's or Python's: write {ways}"
        )

    def settle(self, found: Mapping[str, pa.ChunkedArray]) -> tuple[ClassLabels, tuple[str, ...]]:
        settled, notes = super().settle(found)
        empty = sum(pc.sum(pc.equal(column, "")).as_py() for column in found.values())
        return settled, (*notes, f"{empty:,} rows have no class: their cell or list is empty") if empty else notes

    def encode(self, column: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
        if column is None:
            return pa.nulls(rows, self.type)
        sets = [{self._known[one] for one in labels} for labels in self._split(column)]
        return pa.array([None if -1 in indices else sorted(indices) for indices in sets], self.type)

    def _split(self, column: pa.ChunkedArray) -> list[list[str]]:
        """The labels of each row; an empty cell has none."""
        cells = column.to_pylist()
        return [[part.strip() for part in cell.split(LIST_SEPARATOR)] if cell.strip() else [] for cell in cells]

    def _every(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array(chain.from_iterable(self._split(column)), pa.string())])


class NumberLabels:
    """A number a row: <float32>, NaN for none."""

    names: tuple[str, ...] = ()
    type = pa.float32()
    said = "a number with a point"

    def are_clean(self, column: pa.ChunkedArray) -> bool:
        try:
            return bool(pc.all(pc.is_finite(column.cast(pa.float32()))).as_py())
        except pa.ArrowInvalid:
            return False

    def spell_column(self, column: pa.ChunkedArray) -> pa.ChunkedArray | None:
        return None if pa.types.is_nested(column.type) else pc.utf8_trim_whitespace(column.cast(pa.string()))

    def spell(self, label: object) -> str | Bad:
        if _is_missing(label):
            return Bad("no label", "the label is missing")
        try:
            if isinstance(label, (str, int, float)) and not isinstance(label, bool) and abs(float(label)) <= _LARGEST:
                return repr(float(label))  # pyarrow does not read all that Python does, such as 1_000
        except (ValueError, OverflowError):
            pass
        return Bad("no number", f"the label {repr(label)[:100]} is not a number, as {tasks_for('number')} needs")

    def unsettled(self) -> NumberLabels:
        return self

    def settle(self, found: Mapping[str, pa.ChunkedArray]) -> tuple[NumberLabels, tuple[str, ...]]:
        return self, ()

    def beyond_training(self) -> NumberLabels:
        return self

    def encode(self, column: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
        if column is None:
            return pa.repeat(pa.scalar(math.nan, pa.float32()), rows)
        return column.cast(pa.float32())


Labels = ClassLabels | NumberLabels  # how the labels of a file are spelled and what they become


def encode_labels(table: pa.Table, labels: Labels) -> pa.Table:
    """Returns ``table`` with its column ``label`` in canonical form; without one, with the value for no label."""
    if "label" not in table.column_names:
        return table.append_column("label", labels.encode(None, table.num_rows))
    return table.set_column(table.column_names.index("label"), "label", labels.encode(table["label"], table.num_rows))


def _spelled(label: object) -> str | None:
    """Returns a label as pyarrow would spell it, empty if it is missing, None for what cannot be one."""
    if _is_missing(label):
        return ""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float):
        return str(int(label)) if label.is_integer() else str(label)
    return str(label).strip() if isinstance(label, (str, int)) else None


def _is_missing(label: object) -> bool:
    return (
        label is None or (isinstance(label, str) and not label.strip()) or (isinstance(label, float) and label != label)
    )


def _spell_distinct(column: pa.ChunkedArray, spell: Callable[[str | None], str | Bad]) -> pa.ChunkedArray | None:
    """A column <any but nested>[rows] with each distinct value spelled once; None where one is bad."""
    if not _all_finite(column):
        return None
    column = column.cast(pa.string())
    distinct = pc.unique(column)
    spelled = [spell(one) for one in distinct.to_pylist()]
    if any(isinstance(one, Bad) for one in spelled):
        return None
    return pc.take(pa.array(spelled, pa.string()), pc.index_in(column, value_set=distinct))


def _all_finite(column: pa.ChunkedArray) -> bool:
    return not pa.types.is_floating(column.type) or pc.all(pc.is_finite(column)).as_py() is not False


def _count(column: pa.ChunkedArray) -> Counter[str]:
    """How often each value of a column <string>[rows] occurs, in the order in which they come."""
    return Counter({one["values"]: one["counts"] for one in pc.value_counts(column).to_pylist()})
