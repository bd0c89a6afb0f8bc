"""Reads files of rows with named columns, and folders of texts, into one table of strings.

Two ways lead through a file. pyarrow reads it at its speed; only where that fails, or where a row is not as it should
be, the file is read again row by row, to say which row it is or to leave it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import files_below, kind_of
from bertexp.data.formats.spec import Bad, Columns, Sieve, Values, check_columns, column_names, is_utf8, place_of
from bertexp.data.formats.text import UTF8, encoding_by_mark
from bertexp.data.labels import ClassLabels, Labels, encode_labels, make_labels
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError
from bertexp.tasks.registry import find_task

_TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)
_TEXT = ".txt"  # how the names of files end that hold a text each, whatever the case
_NOT_UTF8 = "is not UTF-8 (another encoding is named with dataset.encoding)"


@dataclass(frozen=True)
class Rows:
    """What a file holds: a table of strings with ``text``, ``text_pair`` and ``label`` (those asked for), none null."""

    table: pa.Table
    skipped: Counter[str]  # reason -> rows left out
    notes: tuple[str, ...] = ()  # what was found and not read, a sentence each


def load_files(
    config: DatasetConfig, task: str, files: Mapping[str, tuple[Path, Columns]], notes: Sequence[str] = ()
) -> TextDataset:
    """Reads the splits in ``files`` (``train`` and perhaps ``val``, ``test``) and cuts the others out of ``train``.

    Labels are what ``task`` learns: a class, a set of classes or a number.

    Raises:
        DataError: a row is bad, or the rows cannot be split as asked for.
    """
    form = find_task(task).label_form
    labels = make_labels(form, config.label_names, config.label_separator, config.label_cleanup)
    tables, labels, skipped, found = read_splits(files, labels, config.on_bad_row)
    tables = hold_out_absent(tables, labels.names, config)
    source = ", ".join(f"{split} {path}" for split, (path, _) in files.items())
    if "test" in files and files["test"][1].label is None:
        source += " (no labels in test)"
    return make_dataset(config, task, tables, labels.names, source, skipped, [*notes, *found])


def read_splits(
    files: Mapping[str, tuple[Path, Columns]], labels: Labels, on_bad_row: str
) -> tuple[dict[str, pa.Table], Labels, Counter[str], list[str]]:
    """Reads files or folders of texts, ``train`` among them, whose rows settle the classes unless ``labels`` knows them.

    Returns:
        A table for each split, its labels in canonical form; what labels are; reasons and numbers of rows left out;
        what else was found, a sentence each.

    Raises:
        DataError: as ``read_file``.
    """
    read = {split: _read(*place, labels.unsettled(), on_bad_row) for split, place in files.items()}
    found = {split: rows.table["label"] for split, rows in read.items() if "label" in rows.table.column_names}
    labels, said = labels.settle(found)
    tables: dict[str, pa.Table] = {}
    skipped: Counter[str] = Counter()
    notes: list[str] = []
    for split, place in files.items():
        rows, own = read[split], labels if split == "train" else labels.beyond_training()
        if split in found and not own.are_clean(found[split]):
            rows = _read(*place, own, on_bad_row)  # which says the row, or leaves it out
        skipped += rows.skipped
        notes += rows.notes
        table = encode_labels(rows.table, own)
        if split in found and split != "train":
            table = _without_unlabelled(split, table, notes)
        if table is not None:
            tables[split] = table
    return tables, labels, skipped, [*notes, *said]


def _read(path: Path, columns: Columns, labels: Labels, on_bad_row: str) -> Rows:
    if path.is_dir():
        return read_folder(path, labels, on_bad_row, encoding=columns.encoding)
    return read_file(path, columns, labels, on_bad_row)


def _without_unlabelled(split: str, table: pa.Table, notes: list[str]) -> pa.Table | None:
    """The rows with a label; a test without any stays as it is, and there is no validation without any."""
    label = table["label"]
    labelled = pc.greater_equal(label, 0) if pa.types.is_integer(label.type) else pc.is_valid(label)
    left = pc.sum(labelled).as_py()
    if left == table.num_rows:
        return table
    becomes = "are left out" if left else "are predicted and not judged" if split == "test" else "are not read"
    notes.append(
        f"{table.num_rows - left:,} of {table.num_rows:,} rows of {split} are unlabelled (-1 or ?, which no training row "
        f"has) and {becomes}"
    )
    if left:
        return table.filter(labelled)
    return table if split == "test" else None


def read_file(path: Path, columns: Columns, labels: Labels | None = None, on_bad_row: str = "error") -> Rows:
    """Reads a file.

    Args:
        labels: what a label is; None: a class, whichever.
        on_bad_row: ``error``, or ``skip`` to leave bad rows out and count them.

    Raises:
        DataError: a column is missing, no row is left or, with ``error``, a row is bad; names file and line.
    """
    module = check_columns(path, columns)
    labels, notes = labels or ClassLabels(), tuple(module.said(path, columns))
    try:
        table = _spell_labels(_pick(module.read_table(path, columns), columns, path), labels)
        if table is not None and table.num_rows and _is_clean(table, labels):
            return Rows(table, Counter(), notes)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        pass  # the way row by row says why
    numbered = ((place_of(path, number), values) for number, values in module.read_rows(path, columns))
    return replace(_collect(numbered, list(columns.wanted()), labels, Sieve(path, "row", on_bad_row)), notes=notes)


def read_whole(path: Path, columns: Columns) -> pa.Table:
    """Reads a file of which every row counts, whatever it holds: <string> columns, empty texts among them.

    Raises:
        DataError: a column is missing or the file is broken.
    """
    module = check_columns(path, columns)
    try:
        return _pick(module.read_table(path, columns), columns, path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as {columns.format} ({error}); fetch it again") from error


def read_folder(
    folder: Path,
    labels: Labels | None = None,
    on_bad_row: str = "error",
    folders: Sequence[str] = (),
    encoding: str | None = None,
) -> Rows:
    """Reads the texts below ``folder/<class>``, one a file .txt at any depth, in the order of their paths.

    Args:
        folders: read only these class folders, each of which must hold texts; all if empty.
        encoding: of the texts; None: UTF-8, or as the byte-order mark of each says.
        labels, on_bad_row: as of ``read_file``.

    Raises:
        DataError: as ``read_file``; or a class folder that was asked for has no texts.
    """
    texts: list[tuple[Path, str]] = []
    others: Counter[str] = Counter()  # kind of file -> files not read
    empty = []
    for place in sorted(folder.iterdir()):
        if folders and place.name not in folders:
            continue
        if not place.is_dir() or place.name.startswith("."):
            others[kind_of(place)] += 1
            continue
        below = list(files_below(place))
        found = sorted(path for path, kind in below if kind == _TEXT)
        texts += ((path, place.name) for path in found)
        others.update(kind for _, kind in below if kind != _TEXT)
        if not found:
            empty.append(place.name)
    if folders and empty:
        raise DataError(f"{folder} has no text {empty[0]}/*{_TEXT}, and so nothing of that class; fetch the data again")
    marks: Counter[str] = Counter()
    read = _read_texts(texts, encoding, marks)
    rows = _collect(read, ["text", "label"], labels or ClassLabels(), Sieve(folder, "row", on_bad_row))
    notes = [
        f"{folder}: {count:,} texts are read as {name.upper()}, by their byte-order marks"
        for name, count in marks.items()
    ]
    if empty:
        notes.append(f"{folder}: no class is made of {', '.join(empty)}, where no file ends in {_TEXT}")
    if others:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(others.items()))
        why = f"they do not end in {_TEXT}, or lie beside the classes"
        notes.append(f"{folder}: {others.total():,} files are not read ({kinds}): {why}")
    return replace(rows, notes=tuple(notes))


def _read_texts(
    texts: Iterable[tuple[Path, str]], encoding: str | None, marks: Counter[str]
) -> Iterator[tuple[str, Values | Bad]]:
    """Reads them; ``marks`` counts those of another encoding than the usual one."""
    for path, label in texts:
        content = path.read_bytes()
        name = encoding or encoding_by_mark(content)
        marks.update([name] if name not in (encoding, UTF8) else [])
        try:
            yield str(path), {"text": content.decode(name, "surrogateescape"), "label": label}
        except UnicodeDecodeError:
            yield str(path), Bad("not UTF-8", f"the text is no {name}")


def _pick(table: pa.Table, columns: Columns, path: Path) -> pa.Table:
    """The wanted columns under their canonical names, texts as <string>.

    Raises:
        DataError: a text column holds something else, or the label is a record.
    """
    picked = {}
    for canonical, name in columns.wanted().items():
        column = table[name]
        if canonical == "label":
            _check_label_type(column.type, name, path, columns)
        else:
            if not any(is_text(column.type) for is_text in _TEXT_TYPES):
                raise DataError(
                    f"column {name!r} of {path} holds {column.type} and no texts; name another one with "
                    f"dataset.{canonical}_column (columns: {', '.join(column_names(path, columns))})"
                )
            column = column.cast(pa.string())
        picked[canonical] = column
    return pa.table(picked)


def _check_label_type(type: pa.DataType, name: str, path: Path, columns: Columns) -> None:
    """Raises DataError for records, maps and lists of lists."""
    is_list = pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type)
    if pa.types.is_nested(type.value_type if is_list else type):
        raise DataError(
            f"column {name!r} of {path} holds {type}, and a label is a text, a number, a truth value or a list of them; "
            f"name another one with dataset.label_column (columns: {', '.join(column_names(path, columns))})"
        )


def _spell_labels(table: pa.Table, labels: Labels) -> pa.Table | None:
    """Labels as trimmed strings, several of a row as one; None where one is bad."""
    if "label" not in table.column_names:
        return table
    column = labels.spell_column(table["label"])
    return None if column is None else table.set_column(table.column_names.index("label"), "label", column)


def _is_clean(table: pa.Table, labels: Labels) -> bool:
    table.validate(full=True)  # UTF-8, which the JSON and parquet readers leave unchecked
    if any(column.null_count for column in table.columns):
        return False
    texts = [table[name] for name in table.column_names if name != "label"]
    if any(pc.any(pc.or_(pc.equal(text, ""), pc.utf8_is_space(text))).as_py() for text in texts):
        return False
    return "label" not in table.column_names or labels.are_clean(table["label"])


def _collect(rows: Iterable[tuple[str, Values | Bad]], names: Sequence[str], labels: Labels, sieve: Sieve) -> Rows:
    """Checks row by row, each with its place."""
    checked = ((place, values if isinstance(values, Bad) else _checked(values, labels)) for place, values in rows)
    table = pa.Table.from_pylist(list(sieve.good(checked)), pa.schema([(name, pa.string()) for name in names]))
    return Rows(table, sieve.skipped)


def _checked(values: Values, labels: Labels) -> Values | Bad:
    for name in ("text", "text_pair"):
        text = values.get(name, "-")
        if text is None or (isinstance(text, str) and not text.strip()):
            return Bad("no text", f"the {name} is empty")
        if not isinstance(text, str):
            return Bad("no text", f"the {name} is not a text but {text!r}"[:200])
        if not is_utf8(text):
            return Bad("not UTF-8", f"the {name} {_NOT_UTF8}")
    if "label" not in values:
        return values
    label = labels.spell(values["label"])
    if isinstance(label, Bad):
        return label
    return values | {"label": label} if is_utf8(label) else Bad("not UTF-8", f"the label {_NOT_UTF8}")
