"""Large Movie Review Dataset (Maas et al. 2011): straight from the archive's stream into one memory-mapped Arrow file.

No file is unpacked. A second start finds the reviews under the archive's size, time and first bytes.
"""

from __future__ import annotations

import tarfile
import zlib
from collections import Counter
from pathlib import Path

import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.arrow_file import identity_of, map_arrow, write_arrow
from bertexp.data.formats.read import read_folder
from bertexp.data.labels import ClassLabels, encode_labels
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError
from bertexp.system.files import atomic_folder

LABEL_NAMES = ("negative", "positive")
_SPLITS = ("train", "test")
_CLASSES = {"neg": 0, "pos": 1}
_SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int32())])


def load_imdb(config: DatasetConfig, task: str, path: Path, cache_dir: Path) -> TextDataset:
    """Reads the archive or the folder ``aclImdb``; holds ``val_fraction`` of the 25,000 training reviews out.

    Raises:
        DataError: the archive is broken or holds no reviews.
    """
    skipped: Counter[str] = Counter()
    notes: list[str] = []
    if path.is_dir():
        labels = ClassLabels(tuple(_CLASSES))
        tables = {}
        for split in _SPLITS:
            rows = read_folder(path / split, labels, config.on_bad_row, folders=labels.names)
            tables[split] = encode_labels(rows.table, labels)
            skipped += rows.skipped
            notes += rows.notes
    else:
        tables = _read_archive_once(path, cache_dir)
    tables = hold_out_absent(tables, LABEL_NAMES, config)
    return make_dataset(config, task, tables, LABEL_NAMES, f"IMDB reviews from {path}", skipped, notes)


def _read_archive_once(archive: Path, cache_dir: Path) -> dict[str, pa.Table]:
    folder = cache_dir / f"arrow-{identity_of([archive])}"
    if not folder.exists():
        with atomic_folder(folder) as new:
            for split, table in _read_archive(archive).items():
                write_arrow(table, new / f"{split}.arrow")
    return {split: map_arrow(folder / f"{split}.arrow") for split in _SPLITS}


def _read_archive(archive: Path) -> dict[str, pa.Table]:
    reviews: dict[str, list[tuple[str, str, int]]] = {split: [] for split in _SPLITS}
    try:
        with tarfile.open(archive) as tar:  # not as a stream (r|*): that takes a cut archive for a whole one
            for member in tar:
                split, folder, name = ["", "", *member.name.split("/")][-3:]
                is_review = member.isfile() and split in reviews and folder in _CLASSES and name.endswith(".txt")
                content = tar.extractfile(member) if is_review else None
                if content is not None:
                    text = content.read().decode("utf-8-sig")
                    reviews[split].append((f"{folder}/{name}", text, _CLASSES[folder]))
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{archive} is not a whole tar archive ({error}); fetch it again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{archive}: the review {folder}/{name} is not UTF-8") from error
    tables = {}
    for split, rows in reviews.items():
        if len({label for _, _, label in rows}) < 2:
            raise DataError(f"{archive} holds no reviews {split}/neg/*.txt and {split}/pos/*.txt; is it aclImdb_v1?")
        rows.sort()  # by name: the order of the folder, whatever the archive's
        _, texts, labels = zip(*rows, strict=True)
        tables[split] = pa.table([pa.array(texts, pa.string()), pa.array(labels, pa.int32())], _SCHEMA)
    return tables
