"""The embedded data set: short film reviews made by a grammar (docs/reviews.md), and the embedded vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.source import DatasetSource, later
from bertexp.data.sets.reviews.grammar import ReviewWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from bertexp.data.table import TextDataset

LABEL_NAMES = ("negative", "positive")
SIZES = {"train": 4000, "val": 500, "test": 1000}
_SEED = 1
VOCAB_FILE = Path(__file__).parents[2] / "vocab" / "english_small.txt"
_SAID = "short film reviews, made by a grammar in the package"


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it, here; see ``DataSet``."""
    return DatasetSource(_SAID, later("sets.reviews.load", config, task))


def load(config: DatasetConfig, task: str) -> TextDataset:
    """Makes the splits."""
    from bertexp.data.splits import make_dataset

    return make_dataset(config, task, make_reviews(), LABEL_NAMES, _SAID)


def make_reviews(sizes: Mapping[str, int] = SIZES) -> dict[str, pa.Table]:
    """Writes the splits in ``sizes``, the same every time.

    Returns:
        Of each split a table of ``text`` <string> and ``label`` <int32>, the index into ``LABEL_NAMES``. Half of
        each split is positive, and no text occurs twice.
    """
    import pyarrow as pa

    seen: set[str] = set()
    splits = {}
    for split, rows in sizes.items():
        writer = ReviewWriter(split, _SEED)
        texts: list[str] = []
        while len(texts) < rows:
            text = writer.write(len(texts) % 2)
            if text not in seen:
                seen.add(text)
                texts.append(text)
        labels = pa.array([row % 2 for row in range(rows)], pa.int32())
        splits[split] = pa.table({"text": texts, "label": labels})
    return splits


def load_vocab() -> tuple[str, ...]:
    """The word pieces that random weights start with, in the order of their ids."""
    return tuple(VOCAB_FILE.read_text(encoding="utf-8").splitlines())
