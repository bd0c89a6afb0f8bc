"""Questions on paragraphs, their answers being parts of the paragraph: SQuAD's json (Rajpurkar et al. 2016 and 2018).

Train and dev of the official data share no article. Where rows are held out of a file here, it is by article too: its
paragraphs answer one another's questions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.spec import Bad, Sieve, is_utf8
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError

_ANSWERS = pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())]))
_SCHEMA = pa.schema([("text", pa.string()), ("text_pair", pa.string()), ("label", _ANSWERS), ("id", pa.string())])


class Questions(NamedTuple):
    """What a file holds."""

    table: pa.Table  # text (the question), text_pair (the context), label (the answers), id
    articles: np.ndarray  # <int64>[rows], a number for each article
    skipped: Counter[str]  # reason -> questions left out


def load_squad(config: DatasetConfig, task: str, paths: Mapping[str, Path]) -> TextDataset:
    """Reads the splits in ``paths`` (``train`` and perhaps ``val``, ``test``) and holds the others out of ``train``.

    With ``test`` given and ``dataset.val_fraction=0`` validation is the test set.

    Raises:
        DataError: a file is not of SQuAD's form, a question is bad, or there are too few articles to split.
    """
    files = {split: read_squad(path, config.on_bad_row, split == "test") for split, path in paths.items()}
    splits = {split: questions.table for split, questions in files.items()}
    splits = hold_out_absent(splits, (), config, files["train"].articles)
    if "test" in splits:
        splits.setdefault("val", splits["test"])
    skipped = sum((questions.skipped for questions in files.values()), Counter())
    source = ", ".join(f"{split} {path}" for split, path in paths.items())
    return make_dataset(config, task, splits, (), source, skipped)


def read_squad(path: Path, on_bad_row: str = "error", may_lack_answers: bool = False) -> Questions:
    """Reads a file of questions with answers, as SQuAD v1.1 and v2.0 spell them.

    Args:
        on_bad_row: ``error``, or ``skip`` to leave bad questions out and count them.
        may_lack_answers: whether a file in which no question has the key ``answers`` is taken as one without labels.

    Raises:
        DataError: the file is not of that form, no question is left or, with ``error``, a question is bad; names file
            and question.
    """
    sieve = Sieve(path, "question", on_bad_row)
    questions = list(_questions(path))
    labelled = not may_lack_answers or any("answers" in question for _, _, question in questions)
    checked = (
        (f"{path}, question {question.get('id', 'without id')!r}", _checked(title, context, question, labelled))
        for title, context, question in questions
    )
    rows = list(sieve.good(checked))
    titles = pa.array([row["title"] for row in rows])
    articles = titles.dictionary_encode().indices.to_numpy().astype(np.int64)
    return Questions(pa.Table.from_pylist(rows, _SCHEMA), articles, sieve.skipped)


def _questions(path: Path) -> Iterator[tuple[str, object, dict[str, Any]]]:
    """Yields the title of the article, the context and the entry of each question."""
    try:
        content = json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); fetch it again or convert it") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON ({error.msg}); fetch the file again") from error
    place = "its top level"
    try:
        for number, article in enumerate(content["data"], start=1):
            place = f"article {number}"
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield str(article.get("title", place)), paragraph["context"], dict(question)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is not of SQuAD's form, data > paragraphs > context and qas: look at {place} ({error!r})"
        ) from error


def _checked(title: str, context: object, question: Mapping[str, Any], labelled: bool) -> dict[str, Any] | Bad:
    """The question as a row of the table, and its article's title."""
    for name, text in (("question", question.get("question")), ("context", context)):
        if not isinstance(text, str) or not text.strip():
            return Bad("no text", f"the {name} is empty or not a text")
        if not is_utf8(text):
            return Bad("not UTF-8", f"the {name} holds half of a surrogate pair")
    row = {"title": title, "text": question["question"], "text_pair": context, "id": str(question.get("id", ""))}
    if not labelled:
        return row
    answers = question.get("answers")
    if question.get("is_impossible", False):
        return row | {"label": []}
    if not isinstance(answers, list) or not answers:
        return Bad("no answer", "it has no answers and is not marked is_impossible")
    label = []
    for answer in answers:
        text, start = (answer.get(key) if isinstance(answer, dict) else None for key in ("text", "answer_start"))
        if not isinstance(text, str) or not text or type(start) is not int:
            return Bad("no answer", f"the answer {answer!r} is not one of a text and an answer_start"[:300])
        assert isinstance(context, str)  # as was checked above
        if start < 0 or not context.startswith(text, start):
            stands = f", but at {context.index(text)}" if text in context else ", nor anywhere in the context"
            return Bad("answer not in context", f"the answer {text[:80]!r} does not stand at character {start}{stands}")
        label.append({"text": text, "start": start})
    return row | {"label": label}
