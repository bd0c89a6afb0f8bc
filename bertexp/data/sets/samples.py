"""64 packaged rows in place of a data set: the same columns, as many classes; what ``debug=fast`` learns from.

The texts are reviews by the package's grammar. Labels follow from a row's number or letters, as each task makes them up;
no result says anything about quality.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.labels import make_labels
from bertexp.data.sets.glue.locate import GLUE
from bertexp.data.sets.reviews import LABEL_NAMES, SIZES, make_reviews
from bertexp.data.splits import make_dataset
from bertexp.data.table import TextDataset
from bertexp.tasks.registry import find_task
from bertexp.tasks.spec import TaskSpec

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
        split: spec.sample_rows(table["text"].to_pylist(), config.name, len(names), has_pair)
        for split, table in written.items()
    }
    return make_dataset(config, task, tables, names, f"{ROWS} packaged rows in place of {config.name}")


def label_texts(texts: Sequence[str], spec: TaskSpec, classes: int, has_pair: bool) -> pa.Table:
    """Each text, or each with the one after it, and the label that ``spec`` makes up."""
    columns = {"text": texts} | ({"text_pair": [*texts[1:], texts[0]]} if has_pair else {})
    labels = [spec.sample_label(row, classes) for row in range(len(texts))]
    return pa.table(columns | {"label": pa.array(labels, make_labels(spec.label_form).type)})
