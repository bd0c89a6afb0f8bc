"""Questions with answers for rehearsals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

_ANSWERS = pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())]))


def sample_rows(texts: Sequence[str], some_unanswerable: bool) -> pa.Table:
    """What comes after a word of each text: the answer is the word there; asked of a word that is not there, none."""
    questions, answers = [], []
    for row, text in enumerate(texts):
        words = list(re.finditer(r"\w+", text))
        index = row % (len(words) - 1)
        unanswerable = some_unanswerable and row % 4 == 0
        questions.append(f"What comes after {'zebra' if unanswerable else words[index].group()}?")
        answer = {"text": words[index + 1].group(), "start": words[index + 1].start()}
        answers.append([] if unanswerable else [answer])
    numbers = [str(row) for row in range(len(texts))]
    return pa.table({"text": questions, "text_pair": texts, "label": pa.array(answers, _ANSWERS), "id": numbers})
