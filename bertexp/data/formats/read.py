"""Reads csv, tsv, jsonl and parquet files and folders of texts into one table of strings.

Two ways lead through a file. pyarrow reads it at its speed; only where that fails, or where a row is not as it should
be, the file is read again row by row, to say which row it is or to leave it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.find.columns import Columns, check_columns, kind_of
from bertexp.data.formats.readers import LIST_SEPARATOR, READERS, Bad, Located, Values, folder_rows
from bertexp.data.labels import ClassLabels, Labels
from bertexp.errors import DataError


@dataclass(frozen=True)
class Rows:
    """What a file holds: a table of strings with ``text``, ``text_pair`` and ``label`` (those asked for), none null."""

    table: pa.Table
    skipped: dict[str, int]  # reason -> rows left out


def read_file(
    path: Path,
    columns: Columns,
    kind: str | None = None,
    labels: Labels | None = None,
    on_bad_row: str = "error",
) -> Rows:
    """Reads a csv, tsv, jsonl or parquet file.

    In a tsv file quotes are plain characters and there are no line breaks in fields, as in GLUE; csv fields may be
    quoted and then hold line breaks.

    Args:
        kind: ``csv``, ``tsv``, ``jsonl`` or ``parquet``; None: as the extension says.
        labels: what a label is; None: a class, whichever.
        on_bad_row: ``error``, or ``skip`` to leave bad rows out and count them.

    Raises:
        DataError: a column is missing, no row is left or, with ``error``, a row is bad; names file and line.
    """
    kind = kind or kind_of(path)
    check_columns(path, kind, columns)
    read_table, read_rows = READERS[kind]
    labels = labels or ClassLabels()
    try:
        table = _spell_labels(read_table(path, columns), labels.separator)
        rows = Rows(table, {}) if table is not None and _is_clean(table, labels) else None
    except (pa.ArrowInvalid, UnicodeDecodeError):
        rows = None
    if rows is None:
        rows = _collect(read_rows(path, columns), list(columns.wanted()), labels, on_bad_row)
    return _not_empty(rows, path)


def read_whole(path: Path, columns: Columns, kind: str) -> pa.Table:
    """Reads a file of which every row counts, whatever it holds: <string> columns, empty texts among them.

    Raises:
        DataError: a column is missing or the file is broken.
    """
    check_columns(path, kind, columns)
    try:
        return READERS[kind][0](path, columns)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as {kind} ({error}); fetch it again") from error


def read_folder(
    folder: Path, labels: Labels | None = None, on_bad_row: str = "error", folders: Sequence[str] = ()
) -> Rows:
    """Reads ``folder/<class>/*.txt``, one text a file, in the order of their names; else as ``read_file``.

    Args:
        folders: read only these class folders; all where empty.
    """
    rows = folder_rows(folder, folders)
    return _not_empty(_collect(rows, ["text", "label"], labels or ClassLabels(), on_bad_row), folder)


def _not_empty(rows: Rows, path: Path) -> Rows:
    if rows.table.num_rows == 0:
        counts = ", ".join(f"{count} rows: {reason}" for reason, count in rows.skipped.items())
        raise DataError(f"{path} holds no usable row" + (f" ({counts})" if counts else ""))
    return rows


def _spell_labels(table: pa.Table, separator: str | None) -> pa.Table | None:
    """Labels as trimmed strings, several of a row as one; None where lists lie there and a row has one label."""
    if "label" not in table.column_names:
        return table
    column = table["label"]
    if pa.types.is_list(column.type):
        if separator is None:
            return None
        joined = pc.binary_join(column, LIST_SEPARATOR)
    else:
        joined = column.cast(pa.string())
        joined = joined if separator is None else pc.replace_substring(joined, separator, LIST_SEPARATOR)
    return table.set_column(table.column_names.index("label"), "label", pc.utf8_trim_whitespace(joined))


def _is_clean(table: pa.Table, labels: Labels) -> bool:
    table.validate(full=True)  # UTF-8, which the JSON and parquet readers leave unchecked
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count:
            return False
        if name == "label":
            if not labels.are_clean(column):
                return False
        elif pc.any(pc.equal(column, "")).as_py() or pc.any(pc.utf8_is_space(column)).as_py():
            return False
    return True


def _collect(rows: Iterable[Located], names: Sequence[str], labels: Labels, on_bad_row: str) -> Rows:
    """Checks row by row, and raises or counts the bad ones."""
    good: dict[str, list[object]] = {name: [] for name in names}
    skipped: Counter[str] = Counter()
    for where, values in rows:
        checked = values if isinstance(values, Bad) else _checked(values, labels)
        if not isinstance(checked, Bad):
            for name in names:
                good[name].append(checked[name])
        elif on_bad_row == "skip":
            skipped[checked.reason] += 1
        else:
            raise DataError(f"{where}: {checked.detail}; mend the row, or leave such rows out: dataset.on_bad_row=skip")
    return Rows(pa.table({name: pa.array(column, pa.string()) for name, column in good.items()}), dict(skipped))


def _checked(values: Values, labels: Labels) -> Values | Bad:
    for name in ("text", "text_pair"):
        text = values.get(name, "-")
        if text is None or (isinstance(text, str) and not text.strip()):
            return Bad("no text", f"the {name} is empty")
        if not isinstance(text, str):
            return Bad("no text", f"the {name} is not a text but {text!r}"[:200])
        try:
            text.encode()
        except UnicodeEncodeError:
            return Bad("not UTF-8", f"the {name} is not UTF-8")
    if "label" not in values:
        return values
    label = labels.spell(values["label"])
    return label if isinstance(label, Bad) else values | {"label": label}
