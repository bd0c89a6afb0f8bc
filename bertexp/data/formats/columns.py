"""Checks that a file has the columns to read, by its beginning alone."""

from __future__ import annotations

from pathlib import Path

from bertexp.data.formats.spec import Columns, load_format
from bertexp.errors import DataError, did_you_mean


def column_names(path: Path, format: str) -> tuple[str, ...]:
    """Returns the names in a file's header, schema or first records.

    Raises:
        DataError: the file is empty or its beginning cannot be read.
    """
    names = load_format(format).column_names(path)
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path} is not UTF-8 text; convert it, for example with iconv") from error
    if not names:
        raise DataError(f"{path} is empty")
    return names


def check_columns(path: Path, format: str, columns: Columns) -> None:
    """Checks that the wanted columns are there.

    Raises:
        DataError: one is missing or there twice; names the columns there are and the setting to change.
    """
    present = columns.header or column_names(path, format)
    wanted = columns.wanted()
    if len(set(wanted.values())) < len(wanted):
        raise DataError(f"text, text_pair and label must be different columns, not {', '.join(wanted.values())}")
    for canonical, name in wanted.items():
        if name not in present:
            raise DataError(
                f"{path} has no column {name!r}; its columns are {', '.join(map(repr, present))}: name the right one "
                f"with dataset.{canonical}_column{did_you_mean(name, present)}"
            )
        if present.count(name) > 1:
            raise DataError(f"{path} has more than one column {name!r}; rename all but one")
