"""Tagged words for rehearsals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa


def sample_rows(texts: Sequence[str]) -> pa.Table:
    """Words, and whether each is part of a name (the tags are O, B-name, I-name): has a capital and begins no sentence."""
    words = [re.findall(r"[\w'’-]+|[^\w\s]", text) for text in texts]
    columns = {"words": pa.array(words, pa.list_(pa.string())), "text": [" ".join(row) for row in words]}
    return pa.table(columns | {"label": pa.array(map(_tag, words), pa.list_(pa.int32()))})


def _tag(words: Sequence[str]) -> list[int]:
    named = [index > 0 and word[0].isupper() and words[index - 1] not in ".!?(" for index, word in enumerate(words)]
    return [int(is_name) + int(is_name and named[index - 1]) for index, is_name in enumerate(named)]
