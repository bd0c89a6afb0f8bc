"""64 packaged rows in place of a data set: the same columns, as many classes; what ``debug=fast`` learns from.

The texts are reviews by the package's grammar. Labels follow from a row's number or letters, as each task makes them up;
no result says anything about quality.
"""

from __future__ import annotations

from bertexp.config.schema import DatasetConfig
from bertexp.data.sets.glue.locate import GLUE
from bertexp.data.sets.reviews import LABEL_NAMES, SIZES, make_reviews
from bertexp.data.sets.spec import SETS
from bertexp.data.splits import make_dataset
from bertexp.data.table import TextDataset
from bertexp.tasks.registry import find_task

ROWS = 64
_CLASSES = {"banking77": tuple(f"intent_{number:02}" for number in range(77))}


def make_samples(config: DatasetConfig, task: str) -> TextDataset:
    """Returns train, val and test of 64 rows each, with the columns and the number of classes of ``config.name``."""
    spec, written = find_task(task), make_reviews(dict.fromkeys(SIZES, ROWS))
    glue = GLUE.get(config.name)
    own = glue.label_names if glue else config.label_names or _CLASSES.get(config.name, LABEL_NAMES)
    names = (spec.sample_names or own) if spec.has_classes else ()
    has_pair = glue is not None and glue.columns.text_pair is not None
    tables = {
        split: spec.sample_rows(table["text"].to_pylist(), SETS[config.name], len(names), has_pair)
        for split, table in written.items()
    }
    return make_dataset(config, task, tables, names, f"{ROWS} packaged rows in place of {config.name}")
