"""A folder of encoded rows: its shards, and ``encoded.json``, which says what they hold."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any, NamedTuple

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path
from bertexp.errors import DataError

SHEET = "encoded.json"
VOCABULARY = "vocab.txt"
FORMATS = ("tfrecord", "arrow")
_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})")
_RECORDS = re.compile(r"^[^.].*\.(tfrecords?|tf_record|arrow)(-\d+-of-\d+)?(\.gz)?$")
_ENDINGS = "*.tfrecord, *.tf_record or *.arrow"
_SPLIT_WORDS = {
    "train": {"train", "training"},
    "val": {"val", "valid", "validation", "dev", "eval"},
    "test": {"test"},
}


class Shard(NamedTuple):
    """One file, and which rows of a split it holds."""

    name: str
    split: str
    begin: int
    rows: int


@dataclass(frozen=True)
class Encoding:
    """What a folder of encoded rows holds, or is to hold; all of it, so that two equal ones have equal shards."""

    format: str  # tfrecord | arrow
    task: str
    label_names: tuple[str, ...]
    has_pair: bool
    max_length: int  # word pieces per row, special tokens included
    long_text: str  # which pieces stay of a longer row: dataset.long_text
    vocabulary: str  # `fingerprint_of` the word pieces
    lowercase: bool
    data: str  # the data set's fingerprint
    name: str  # of the data set
    source: str  # where its rows came from, one phrase
    shards: dict[str, tuple[int, ...]]  # rows of each shard of each split
    versions: dict[str, str]
    strip_accents: bool = True  # from texts in lower case; a sheet without it is from before there was a choice

    def files(self, split: str) -> list[str]:
        """The names of a split's shards."""
        count = len(self.shards[split])
        return [f"{split}-{number:05d}-of-{count:05d}.{self.format}" for number in range(count)]

    def missing(self, folder: Path) -> list[Shard]:
        """The shards that are not in ``folder``."""
        shards: list[Shard] = []
        for split, sizes in self.shards.items():
            shards += map(Shard, self.files(split), repeat(split), accumulate((0, *sizes)), sizes)
        return [shard for shard in shards if not (folder / shard.name).exists()]

    def differences(self, other: Encoding) -> list[str]:
        """What differs from another encoding, in words, three things at most."""
        said = []
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(other, field.name)
            if here != there:
                short = isinstance(here, (str, int)) and len(f"{here}{there}") < 60
                said.append(f"{field.name} {here}, not {there}" if short else f"other {field.name}")
        return said[:3]

    def check(self, config: DatasetConfig, task: str, folder: Path) -> None:
        """Raises DataError where a run that reads ``folder`` asks for something else than lies there."""
        where = folder / SHEET
        if self.task != task:
            raise DataError(f"{where}: the labels are for task={self.task}, not for task={task}; add task={self.task}")
        if self.long_text != config.long_text:
            raise DataError(
                f"{where}: long rows were cut with dataset.long_text={self.long_text}, not {config.long_text}; add "
                f"dataset.long_text={self.long_text}"
            )
        check_length(config, self.max_length, str(where))

    def as_text(self) -> str:
        """The content of ``encoded.json``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_encoding(folder: Path) -> Encoding | None:
    """Reads ``encoded.json``; None where there is none.

    Raises:
        DataError: it is not one of ours.
    """
    path = folder / SHEET
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        values["label_names"] = tuple(values["label_names"])
        values["shards"] = {split: tuple(rows) for split, rows in values["shards"].items()}
        return Encoding(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not what `python -m bertexp encode` writes ({error}); encode the rows again"
        ) from error


def fingerprint_of(vocab: Sequence[str]) -> str:
    """16 hex digits over the word pieces, in order."""
    return hashlib.sha256("\n".join(vocab).encode()).hexdigest()[:16]


def check_length(config: DatasetConfig, max_length: int, where: str) -> None:
    """Raises DataError where rows were cut too short for a run, or would be cut twice at different pieces."""
    short = config.max_length > max_length
    if short or (config.max_length < max_length and config.long_text == "head_tail"):
        why = "so longer ones cannot be had" if short else "and head_tail cannot cut them again as it would a text"
        raise DataError(
            f"{where}: rows were cut to {max_length} word pieces, {why}; set dataset.max_length={max_length}, or encode the "
            "texts again"
        )


def cut_into_shards(rows: dict[str, int], shards: int) -> dict[str, tuple[int, ...]]:
    """Rows of each shard: ``shards`` of the largest split, as many of the others as keep theirs no smaller; none empty."""
    target = -(-max(rows.values()) // shards)
    counts = {split: max(1, -(-count // target)) for split, count in rows.items()}
    return {
        split: tuple(rows[split] * (number + 1) // count - rows[split] * number // count for number in range(count))
        for split, count in counts.items()
    }


def find_shards(config: DatasetConfig) -> dict[str, list[Path]]:
    """The files of each split, sorted by name.

    A split's files are those that dataset.train_file and its like name, else those that have its name as a word of theirs,
    as in train-00000-of-00016.tfrecord or mrpc_eval.tf_record; MNLI's test_mismatched is a split of its own. A single
    file is there to train on.

    Raises:
        DataError: there are none to train on, or fewer than a name counts.
    """
    if config.path is None and config.train_file is None:
        raise DataError(
            "dataset=tfrecord needs data: dataset.path=<folder, file or pattern>, or dataset.train_file=<file>"
        )
    held = _matching("dataset.path", config.path, Path()) if config.path is not None else []
    inside = Path(config.path or "").expanduser()
    paths = {}
    for split, words in _SPLIT_WORDS.items():
        name = getattr(config, f"{split}_file")
        if name is not None:
            paths[split] = _matching(f"dataset.{split}_file", name, inside if inside.is_dir() else Path())
        elif len(held) > 1:
            paths[split] = [path for path in held if words & _words(path)]
    if config.test_file is None and "test" in paths:
        paths["test_mismatched"] = [path for path in paths["test"] if "mismatched" in _words(path)]
        paths["test"] = [path for path in paths["test"] if path not in paths["test_mismatched"]]
    paths = {"train": held, **paths} if len(held) == 1 else paths
    if not paths.get("train"):
        names = ", ".join(path.name for path in held[:5]) or f"no file {_ENDINGS}"
        raise DataError(f"dataset.path={config.path} holds {names}: name those to train on with dataset.train_file")
    for files in paths.values():
        _require_whole(files)
    return {split: files for split, files in paths.items() if files}


def _words(path: Path) -> set[str]:
    return {*re.split("[^a-z]+", path.name.lower())}


def _matching(setting: str, value: str, root: Path) -> list[Path]:
    """The files that a folder, a file's name or a pattern means, sorted."""
    pattern = str(Path(value).expanduser())
    if any(sign in pattern for sign in "*?["):
        found = sorted(map(Path, glob.glob(str(root / pattern))))
        if not found:
            raise DataError(f"{setting}={value} matches no file")
        return found
    path = root / pattern if (root / pattern).exists() else existing_path(setting, value)
    return sorted(file for file in path.iterdir() if _RECORDS.search(file.name)) if path.is_dir() else [path]


def _require_whole(files: Sequence[Path]) -> None:
    """Raises DataError where the files' names count more shards than there are."""
    for path in files:
        match = _SHARD.search(path.name)
        if match is None:
            continue
        for number in range(int(match[2])):
            name = path.name.replace(match[0], f"-{number:05d}-of-{match[2]}")
            if not (path.parent / name).is_file():
                raise DataError(
                    f"{path.parent} lacks the shard {name}; `python -m bertexp encode` goes on where it was stopped"
                )
