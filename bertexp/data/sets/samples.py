"""64 packaged rows in place of a data set: the same columns, as many classes; what ``debug=fast`` learns from.

The texts are reviews by the package's grammar. Labels follow from a row's number or letters: every task has some, and no
result says anything about quality.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.sets.glue.tasks import GLUE
from bertexp.data.sets.reviews import LABEL_NAMES, SIZES, make_reviews
from bertexp.data.splits import make_dataset
from bertexp.data.table import TextDataset

ROWS = 64
_CLASSES = {"banking77": tuple(f"intent_{number:02}" for number in range(77))}
_TAGS = ("O", "B-name", "I-name")
_ANSWERS = pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())]))


def make_samples(config: DatasetConfig, task: str) -> TextDataset:
    """Returns train, val and test of 64 rows each, with the columns and the number of classes of ``config.name``."""
    written = make_reviews(dict.fromkeys(SIZES, ROWS))
    reviews = {split: table["text"].to_pylist() for split, table in written.items()}
    source = f"{ROWS} packaged rows in place of {config.name}"
    if task == "tagging":
        tagged = {split: _tagged(texts) for split, texts in reviews.items()}
        return make_dataset(config, tagged, _TAGS, source, task=task)
    if task == "question_answering":
        asked = {split: _asked(texts, config.name == "squad_v2") for split, texts in reviews.items()}
        return make_dataset(config, asked, (), source, task=task)
    glue = GLUE.get(config.name)
    names = glue.label_names if glue else config.label_names or _CLASSES.get(config.name, LABEL_NAMES)
    names = () if task == "regression" else names
    has_pair = glue is not None and glue.columns.text_pair is not None
    judged = {split: _judged(texts, task, len(names), has_pair) for split, texts in reviews.items()}
    return make_dataset(config, judged, names, source, task=task)


def _judged(texts: Sequence[str], task: str, classes: int, has_pair: bool) -> pa.Table:
    """Each text, or each with the one after it, and a class, a set of one class or none, or a number from 0 to 5."""
    rows = range(len(texts))
    columns = {"text": texts} | ({"text_pair": [*texts[1:], texts[0]]} if has_pair else {})
    if task == "regression":
        label = pa.array([row % 6 for row in rows], pa.float32())
    elif task == "multi_label":
        label = pa.array([[row % classes] if row % 3 else [] for row in rows], pa.list_(pa.int32()))
    else:
        label = pa.array([row % classes for row in rows], pa.int32())
    return pa.table(columns | {"label": label})


def _tagged(texts: Sequence[str]) -> pa.Table:
    """Words, and whether each is part of a name: has a capital and begins no sentence."""
    words = [re.findall(r"[\w'’-]+|[^\w\s]", text) for text in texts]
    columns = {"words": pa.array(words, pa.list_(pa.string())), "text": [" ".join(row) for row in words]}
    return pa.table(columns | {"label": pa.array(map(_tag, words), pa.list_(pa.int32()))})


def _tag(words: Sequence[str]) -> list[int]:
    named = [place > 0 and word[0].isupper() and words[place - 1] not in ".!?(" for place, word in enumerate(words)]
    return [int(is_name) + int(is_name and named[place - 1]) for place, is_name in enumerate(named)]


def _asked(texts: Sequence[str], some_unanswerable: bool) -> pa.Table:
    """What comes after a word of each text: the answer is the word there; asked of a word that is not there, none."""
    questions, answers = [], []
    for row, text in enumerate(texts):
        words = list(re.finditer(r"\w+", text))
        place = row % (len(words) - 1)
        unanswerable = some_unanswerable and row % 4 == 0
        questions.append(f"What comes after {'zebra' if unanswerable else words[place].group()}?")
        answer = {"text": words[place + 1].group(), "start": words[place + 1].start()}
        answers.append([] if unanswerable else [answer])
    numbers = [str(row) for row in range(len(texts))]
    return pa.table({"text": questions, "text_pair": texts, "label": pa.array(answers, _ANSWERS), "id": numbers})
