"""Which spellings of a label are one class: equal numbers, and what ``dataset.label_cleanup`` joins; what was done is said."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from bertexp.errors import DataError

UNLABELLED = ("-1", "?")  # of rows to validate or test on, where no training row has that label
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE]-?\d{1,3})?", re.ASCII)
_WITHOUT_WIDTH = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))
_GROUPS_SHOWN = 6


def _tidy(name: str) -> str:
    """Composed letters, one space in place of any white space, no characters without width."""
    return " ".join(unicodedata.normalize("NFC", name).translate(_WITHOUT_WIDTH).split())


CLEANUPS: dict[str, Callable[[str], str]] = {  # by dataset.label_cleanup: names that become the same are one class
    "none": str,
    "strip": _tidy,
    "casefold": lambda name: _tidy(name).casefold(),
}


@dataclass(frozen=True)
class Classes:
    """The classes of a data set, and what became of the spellings that its files hold."""

    names: tuple[str, ...]
    known: Mapping[str, int]  # the index of every spelling that is a class
    unlabelled: tuple[str, ...]  # spellings of no label outside of the training rows
    notes: tuple[str, ...]  # what was joined or kept apart, a sentence each


def settle_classes(found: Mapping[str, Counter[str]], given: Sequence[str] = (), cleanup: str = "none") -> Classes:
    """The classes: ``given``, or those of the training rows.

    Where every label of every split, and every given name, is written as a number, equal numbers are one class, named by
    their shortest spelling. Else spellings are texts.

    Args:
        found: of each split, train among them, how many rows have which label as spelled there.
        given: names of the classes, in their order.
        cleanup: one of ``CLEANUPS``.

    Raises:
        DataError: two given names are one class.
    """
    train = found["train"]
    unlabelled = tuple(mark for mark in UNLABELLED if not any(_same(mark, one) for one in (*train, *given)))
    rows: Counter[str] = sum(found.values(), Counter())
    for mark in unlabelled:
        del rows[mark]
    odd = next((one for one in (*rows, *given) if not is_number(one)), None)  # what makes texts of all
    key: Callable[[str], Hashable] = Decimal if odd is None else CLEANUPS[cleanup]
    if given:
        names, known = tuple(given), spellings(given)
        if twice := next((group for group in _grouped(given, key).values() if len(group) > 1), None):
            raise DataError(f"dataset.label_names names a class twice: {', '.join(twice)}")
        index = {key(name): number for number, name in enumerate(given)}
    else:
        spelled = _grouped(rows, key)
        named = {
            min(spelled[one], key=lambda each: (len(each), each)) if odd is None else str(one): one
            for one in dict.fromkeys(map(key, train))
        }
        names, known = sort_names(named), {}
        index = {named[name]: number for number, name in enumerate(names)}
    by_place = [one for one in rows if one in known and key(one) not in index]
    known |= {one: index[key(one)] for one in (*rows, *names) if key(one) in index}
    notes = _say_joined(rows, key, odd, cleanup) + (_say_apart(rows, key, odd) if odd is not None else [])
    if by_place:
        places = ", ".join(f"{one!r} ({_rows(rows[one])}) as {names[known[one]]!r}" for one in sorted(by_place)[:20])
        notes.append(f"labels are taken for classes of other names: {places}")
    return Classes(names, known, unlabelled, tuple(notes))


def sort_names(distinct: Iterable[str]) -> tuple[str, ...]:
    """Returns the names of classes sorted; as numbers where all are whole numbers."""
    names = list(distinct)
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(sorted(names))


def spellings(label_names: Sequence[str]) -> dict[str, int]:
    """Returns the class index of every accepted spelling of names that were given.

    Those are the names; 0, 1, … where no name is a number itself; and ``true`` for ``True`` where the names are the two
    truth values, which the command line, JSON and Python spell in two ways.

    Raises:
        DataError: a name is given twice.
    """
    if len(set(label_names)) < len(label_names):
        raise DataError(f"dataset.label_names names a class twice: {', '.join(label_names)}")
    indices = {name: index for index, name in enumerate(label_names)}
    if not any(_value(name) is not None for name in label_names):
        indices |= {str(index): index for index in range(len(label_names))}
    if sorted(map(str.lower, label_names)) == ["false", "true"]:
        indices |= {name.lower(): indices[name] for name in label_names}
        indices |= {name.capitalize(): indices[name] for name in label_names}
    return indices


def is_number(spelled: str) -> bool:
    """Whether a label is written as a number; a leading zero, a plus sign or an underscore makes it text."""
    return _NUMBER.fullmatch(spelled) is not None


def _value(spelled: str) -> Decimal | None:
    """The number that a text stands for, however it is written."""
    try:
        value = Decimal(spelled)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _same(mark: str, label: str) -> bool:
    return mark == label or (is_number(mark) and is_number(label) and Decimal(mark) == Decimal(label))


def _grouped(spelled: Iterable[str], key: Callable[[str], Hashable]) -> dict[Hashable, list[str]]:
    groups: dict[Hashable, list[str]] = {}
    for one in dict.fromkeys(spelled):
        groups.setdefault(key(one), []).append(one)
    return groups


def _say_joined(rows: Counter[str], key: Callable[[str], Hashable], odd: str | None, cleanup: str) -> list[str]:
    joined = [group for group in _grouped(rows, key).values() if len(group) > 1]
    why = "labels that are equal numbers" if odd is None else f"labels that dataset.label_cleanup={cleanup} makes equal"
    return [f"{why} are one class: {_shown(joined, rows)}"] if joined else []


def _say_apart(rows: Counter[str], key: Callable[[str], Hashable], odd: str | None) -> list[str]:
    """What is one to the eye and stays several classes, since not all labels are numbers."""
    classes: Counter[str] = Counter()
    for one, count in rows.items():
        classes[str(key(one))] += count
    notes = []
    numbers = _grouped((name for name in classes if _value(name) is not None), _value)
    if equal := [group for group in numbers.values() if len(group) > 1]:
        notes.append(
            f"labels that are equal numbers stay classes of their own, since {odd!r} is text and so are all: "
            f"{_shown(equal, classes)}"
        )
    if near := [group for group in _grouped(classes, CLEANUPS["casefold"]).values() if len(group) > 1]:
        notes.append(
            f"class names that differ by case or white space alone stay apart: {_shown(near, classes)}; "
            "dataset.label_cleanup=casefold joins them"
        )
    return notes


def _shown(groups: Sequence[Sequence[str]], rows: Counter[str]) -> str:
    shown = [" and ".join(f"{one!r} ({_rows(rows[one])})" for one in group) for group in groups[:_GROUPS_SHOWN]]
    more = f"; {len(groups) - _GROUPS_SHOWN} more" if len(groups) > _GROUPS_SHOWN else ""
    return "; ".join(shown) + more


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"
