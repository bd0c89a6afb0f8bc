"""From labels as a file spells them to what is learned: a class, a set of classes, a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.formats.spec import Bad
from bertexp.errors import DataError, did_you_mean
from bertexp.tasks.registry import tasks_for

LIST_SEPARATOR = "\x1f"  # between the labels of one row: ASCII's unit separator, which no name holds
_NAMES_SHOWN = 12
_LARGEST = 3.4028234e38  # of <float32>


def make_labels(form: str, names: Sequence[str] | None = None, separator: str = ",") -> Labels:
    """The labels of a ``TaskSpec.label_form``; ``names`` if the classes are known."""
    if form == "number":
        return NumberLabels()
    return ClassSetLabels(names, separator) if form == "classes" else ClassLabels(names)


class ClassLabels:
    """One class a row: <int32>, the index into ``names``, -1 for none.

    Columns come as <string>[rows], trimmed, with ``LIST_SEPARATOR`` between the labels of a row.

    Args:
        names: of the classes; none are known yet if empty.
    """

    separator: str | None = None  # between the labels of one cell; None: a row has one label
    type: pa.DataType = pa.int32()  # of canonical labels
    said = "one whole number a row"  # what canonical labels are, for messages

    def __init__(self, names: Sequence[str] | None = None):
        self.names = tuple(names or ())
        self._known = spellings(self.names)

    def are_clean(self, column: pa.ChunkedArray) -> bool:
        """Whether every cell is a label."""
        if pc.any(pc.equal(column, "")).as_py():
            return False
        return not self.names or bool(pc.all(pc.is_in(column, pa.array(list(self._known)))).as_py())

    def spell(self, label: object) -> str | Bad:
        """One label as found, spelled as ``are_clean`` and ``encode`` expect it, or what is wrong with it."""
        if isinstance(label, list):
            return Bad("no label", f"the label is a list, {repr(label)[:100]}, which {tasks_for('classes')} reads")
        spelled = _spelled(label)
        if not spelled:
            return Bad("no label", "the label is missing")
        if self.names and spelled not in self._known:
            known = list(self._known)[:_NAMES_SHOWN]
            more = ", …" if len(self._known) > _NAMES_SHOWN else ""
            hint = did_you_mean(spelled, self._known)
            return Bad("unknown class", f"the class {spelled!r} is not one of {', '.join(known)}{more}{hint}"[:400])
        return spelled

    def settle(self, column: pa.ChunkedArray) -> ClassLabels:
        """The same with the names that the training rows ``column`` hold, where none were given."""
        return self if self.names else ClassLabels(discover_labels(column))

    def encode(self, column: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
        """The canonical labels; of a split without labels (``None``) ``rows`` times the value for none."""
        if column is None:
            return pa.repeat(pa.scalar(-1, pa.int32()), rows)
        positions = pc.index_in(column, value_set=pa.array(list(self._known)))
        return pc.take(pa.array(list(self._known.values()), pa.int32()), positions)


class ClassSetLabels(ClassLabels):
    """Any number of classes a row, none too: <list<int32>>, ascending indices, null for unknown.

    Files give them as a list (jsonl, parquet) or in one cell with ``separator`` between them.
    """

    separator: str
    type = pa.list_(pa.int32())
    said = "several whole numbers a row"

    def __init__(self, names: Sequence[str] | None = None, separator: str = ","):
        super().__init__(names)
        self.separator = separator

    def are_clean(self, column: pa.ChunkedArray) -> bool:
        return super().are_clean(self._every(column))

    def spell(self, label: object) -> str | Bad:
        if isinstance(label, str):
            parts = label.replace(self.separator, LIST_SEPARATOR).split(LIST_SEPARATOR)
            label = [part for part in parts if part.strip()]
        if not isinstance(label, list):
            given = "missing" if label is None else f"not a list of classes but {label!r}"
            return Bad("no label", f"the label is {given}"[:200])
        spelled = [super(ClassSetLabels, self).spell(one) for one in label]
        bad = next((one for one in spelled if isinstance(one, Bad)), None)
        return bad or LIST_SEPARATOR.join(map(str, spelled))

    def settle(self, column: pa.ChunkedArray) -> ClassSetLabels:
        return self if self.names else ClassSetLabels(discover_labels(self._every(column)), self.separator)

    def encode(self, column: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
        if column is None:
            return pa.nulls(rows, self.type)
        return pa.array([sorted({self._known[one] for one in labels}) for labels in self._split(column)], self.type)

    def _split(self, column: pa.ChunkedArray) -> list[list[str]]:
        """The labels of each row; an empty cell has none."""
        cells = column.to_pylist()
        return [[part.strip() for part in cell.split(LIST_SEPARATOR)] if cell.strip() else [] for cell in cells]

    def _every(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """<string>[labels]: those of all rows."""
        return pa.chunked_array([pa.array(chain.from_iterable(self._split(column)), pa.string())])


class NumberLabels:
    """A number a row: <float32>, NaN for none."""

    names: tuple[str, ...] = ()
    separator: str | None = None
    type = pa.float32()
    said = "a number with a point"

    def are_clean(self, column: pa.ChunkedArray) -> bool:
        try:
            return bool(pc.all(pc.is_finite(column.cast(pa.float32()))).as_py())
        except pa.ArrowInvalid:
            return False

    def spell(self, label: object) -> str | Bad:
        try:
            if isinstance(label, (str, int, float)) and not isinstance(label, bool) and abs(float(label)) <= _LARGEST:
                return repr(float(label))  # pyarrow does not read all that Python does, such as 1_000
        except (ValueError, OverflowError):
            pass
        return Bad("no number", f"the label {repr(label)[:100]} is not a number, as {tasks_for('number')} needs")

    def settle(self, column: pa.ChunkedArray) -> NumberLabels:
        return self

    def encode(self, column: pa.ChunkedArray | None, rows: int) -> pa.Array | pa.ChunkedArray:
        if column is None:
            return pa.repeat(pa.scalar(math.nan, pa.float32()), rows)
        return column.cast(pa.float32())


Labels = ClassLabels | NumberLabels  # how the labels of a file are spelled and what they become


def discover_labels(column: pa.ChunkedArray) -> tuple[str, ...]:
    """Returns the distinct labels of ``<string>[rows]``, sorted; as numbers where all are whole numbers."""
    distinct = pc.unique(column).to_pylist()
    try:
        return tuple(sorted(distinct, key=int))
    except ValueError:
        return tuple(sorted(distinct))


def spellings(label_names: Sequence[str]) -> dict[str, int]:
    """Returns the class index of every accepted spelling: the names, and 0, 1, … where no name is a number itself.

    Raises:
        DataError: a name is given twice.
    """
    if len(set(label_names)) < len(label_names):
        raise DataError(f"dataset.label_names names a class twice: {', '.join(label_names)}")
    indices = {name: index for index, name in enumerate(label_names)}
    if not any(name.lstrip("-").isdigit() for name in label_names):
        indices |= {str(index): index for index in range(len(label_names))}
    return indices


def encode_labels(table: pa.Table, labels: Labels) -> pa.Table:
    """Returns ``table`` with its column ``label`` in canonical form; without one, with the value for no label."""
    if "label" not in table.column_names:
        return table.append_column("label", labels.encode(None, table.num_rows))
    return table.set_column(table.column_names.index("label"), "label", labels.encode(table["label"], table.num_rows))


def _spelled(label: object) -> str | None:
    """Returns a label as pyarrow would spell it, None for what cannot be one."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float):
        return str(int(label)) if label.is_integer() else str(label)
    return str(label).strip() if isinstance(label, (str, int)) else None
