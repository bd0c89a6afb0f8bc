"""Reads files of rows with named columns, and folders of texts, into one table of strings.

Two ways lead through a file. pyarrow reads it at its speed; only where that fails, or where a row is not as it should
be, the file is read again row by row, to say which row it is or to leave it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bertexp.data.formats.columns import check_columns, column_names
from bertexp.data.formats.spec import Bad, Columns, Values, format_of, load_format, place_of
from bertexp.data.labels import LIST_SEPARATOR, ClassLabels, Labels
from bertexp.errors import DataError

_TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)


@dataclass(frozen=True)
class Rows:
    """What a file holds: a table of strings with ``text``, ``text_pair`` and ``label`` (those asked for), none null."""

    table: pa.Table
    skipped: dict[str, int]  # reason -> rows left out


def read_file(
    path: Path,
    columns: Columns,
    format: str | None = None,
    labels: Labels | None = None,
    on_bad_row: str = "error",
) -> Rows:
    """Reads a file.

    Args:
        format: one of ``FORMATS``; None: as the extension says.
        labels: what a label is; None: a class, whichever.
        on_bad_row: ``error``, or ``skip`` to leave bad rows out and count them.

    Raises:
        DataError: a column is missing, no row is left or, with ``error``, a row is bad; names file and line.
    """
    format = format or format_of(path)
    check_columns(path, format, columns)
    module = load_format(format)
    labels = labels or ClassLabels()
    try:
        table = _spell_labels(_pick(module.read_table(path, columns), columns, path), labels.separator)
        rows = Rows(table, {}) if table is not None and _is_clean(table, labels) else None
    except (pa.ArrowInvalid, UnicodeDecodeError):
        rows = None
    if rows is None:
        numbered = ((place_of(path, number), values) for number, values in module.read_rows(path, columns))
        rows = _collect(numbered, list(columns.wanted()), labels, on_bad_row)
    return _not_empty(rows, path)


def read_whole(path: Path, columns: Columns, format: str) -> pa.Table:
    """Reads a file of which every row counts, whatever it holds: <string> columns, empty texts among them.

    Raises:
        DataError: a column is missing or the file is broken.
    """
    check_columns(path, format, columns)
    try:
        return _pick(load_format(format).read_table(path, columns), columns, path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as {format} ({error}); fetch it again") from error


def read_folder(
    folder: Path, labels: Labels | None = None, on_bad_row: str = "error", folders: Sequence[str] = ()
) -> Rows:
    """Reads ``folder/<class>/*.txt``, one text a file, in the order of their names; else as ``read_file``.

    Args:
        folders: read only these class folders; all if empty.
    """
    rows = _read_texts(folder, folders)
    return _not_empty(_collect(rows, ["text", "label"], labels or ClassLabels(), on_bad_row), folder)


def _read_texts(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, Values | Bad]]:
    for class_folder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if names and class_folder.name not in names:
            continue
        for path in sorted(class_folder.glob("*.txt")):
            try:
                yield str(path), {"text": path.read_bytes().decode("utf-8-sig"), "label": class_folder.name}
            except UnicodeDecodeError:
                yield str(path), Bad("not UTF-8", "the text is not UTF-8")


def _pick(table: pa.Table, columns: Columns, path: Path) -> pa.Table:
    """The wanted columns under their canonical names, texts as <string>.

    Raises:
        DataError: a text column holds something else.
    """
    wanted = columns.wanted()
    picked = table.select(list(wanted.values())).rename_columns(list(wanted))
    for index, name in enumerate(wanted):
        if name == "label":
            continue
        holds = picked.schema.field(name).type
        if not any(is_text(holds) for is_text in _TEXT_TYPES):
            raise DataError(
                f"column {wanted[name]!r} of {path} holds {holds} and no texts; name another one with "
                f"dataset.{name}_column (columns: {', '.join(column_names(path, format_of(path)))})"
            )
        picked = picked.set_column(index, name, picked[name].cast(pa.string()))
    return picked


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
    if pa.types.is_nested(column.type):
        if separator is None:
            return None
        joined = pc.binary_join(column.cast(pa.list_(pa.string())), LIST_SEPARATOR)
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


def _collect(rows: Iterable[tuple[str, Values | Bad]], names: Sequence[str], labels: Labels, on_bad_row: str) -> Rows:
    """Checks row by row, each with its place, and raises or counts the bad ones."""
    good: dict[str, list[object]] = {name: [] for name in names}
    skipped: Counter[str] = Counter()
    for place, values in rows:
        checked = values if isinstance(values, Bad) else _checked(values, labels)
        if not isinstance(checked, Bad):
            for name in names:
                good[name].append(checked[name])
        elif on_bad_row == "skip":
            skipped[checked.reason] += 1
        else:
            raise DataError(f"{place}: {checked.detail}; mend the row, or leave such rows out: dataset.on_bad_row=skip")
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
