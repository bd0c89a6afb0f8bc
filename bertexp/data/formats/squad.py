"""Questions on paragraphs, their answers being parts of the paragraph: SQuAD's json (Rajpurkar et al. 2016 and 2018).

Train and dev of the official data share no article. Where rows are held out of a file here, it is by article too: its
paragraphs answer one another's questions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bertexp.config.schema import DatasetConfig
from bertexp.data.formats.jsonl import read_objects
from bertexp.data.formats.spec import Bad, Sieve, is_utf8, place_of
from bertexp.data.sets.spec import SETS
from bertexp.data.splits import hold_out_absent, make_dataset
from bertexp.data.table import TextDataset
from bertexp.errors import DataError

_ANSWERS = pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())]))
_SCHEMA = pa.schema([("text", pa.string()), ("text_pair", pa.string()), ("label", _ANSWERS), ("id", pa.string())])
_TRUTH = {"true": True, "1": True, "false": False, "0": False, "none": False}  # however it is spelled; null: false


class Questions(NamedTuple):
    """What a file holds."""

    table: pa.Table  # text (the question), text_pair (the context), label (the answers), id
    articles: np.ndarray  # <int64>[rows], a number for each article
    skipped: Counter[str]  # reason -> questions left out


class _Question(NamedTuple):
    """A question as the file spells it."""

    article: object  # the same for all questions on one article
    context: object
    entry: Mapping[str, Any]


def load_squad(config: DatasetConfig, task: str, paths: Mapping[str, Path]) -> TextDataset:
    """Reads the splits in ``paths`` (``train`` and perhaps ``val``, ``test``) and holds the others out of ``train``.

    With ``test`` given and ``dataset.val_fraction=0`` validation is the test set.

    Raises:
        DataError: a file is not of SQuAD's form, a question is bad, or there are too few articles to split.
    """
    unanswerable = SETS[config.name].some_unanswerable
    files = {split: read_squad(path, config.on_bad_row, split == "test", unanswerable) for split, path in paths.items()}
    splits = {split: questions.table for split, questions in files.items()}
    splits = hold_out_absent(splits, (), config, files["train"].articles)
    if "test" in splits:
        splits.setdefault("val", splits["test"])
    skipped = sum((questions.skipped for questions in files.values()), Counter())
    source = ", ".join(f"{split} {path}" for split, path in paths.items())
    return make_dataset(config, task, splits, (), source, skipped)


def read_squad(
    path: Path, on_bad_row: str = "error", may_lack_answers: bool = False, some_unanswerable: bool = False
) -> Questions:
    """Reads a file of questions with answers, as SQuAD v1.1 and v2.0 spell them.

    They may also lie flat, each with its context: below ``data``, in a list, or one a line of a jsonl file. Answers are
    objects, or one object with a list of texts and one of places. So Hugging Face's ``datasets`` writes SQuAD.

    Args:
        on_bad_row: ``error``, or ``skip`` to leave bad questions out and count them.
        may_lack_answers: whether a file in which no question has the key ``answers`` is taken as one without labels.
        some_unanswerable: whether a flat question with no answers listed, and no ``is_impossible``, is one without an
            answer, as in SQuAD v2.0 there; else it is bad.

    Raises:
        DataError: the file is not of that form, no question is left or, with ``error``, a question is bad; names file
            and question.
    """
    sieve = Sieve(path, "question", on_bad_row)
    questions = list(_of_lines(path) if path.suffix.lower() == ".jsonl" else _of_json(path))
    entries = [question.entry for _, question in questions if not isinstance(question, Bad)]
    labelled = not may_lack_answers or any("answers" in entry for entry in entries)
    checked = (
        (place, one if isinstance(one, Bad) else _checked(one, labelled, some_unanswerable)) for place, one in questions
    )
    rows = list(sieve.good(checked))
    articles = pa.array([repr(row["article"]) for row in rows]).dictionary_encode().indices.to_numpy().astype(np.int64)
    return Questions(pa.Table.from_pylist(rows, _SCHEMA), articles, sieve.skipped)


def _of_lines(path: Path) -> Iterator[tuple[str, _Question | Bad]]:
    for number, entry in read_objects(path):
        yield place_of(path, number), entry if isinstance(entry, Bad) else _flat(entry)


def _of_json(path: Path) -> Iterator[tuple[str, _Question]]:
    """Yields the questions, wherever they lie, with their places."""
    try:
        content = json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); fetch it again or convert it") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not valid JSON ({error.msg}); fetch the file again") from error
    place = "its top level"
    try:
        articles = content if isinstance(content, list) else _list_of(content, "data")
        for number, article in enumerate(articles, start=1):
            place = f"article {number}"
            for question in [_flat(article)] if "question" in article else _of_article(article, place):
                yield f"{path}, question {question.entry.get('id', 'without id')!r}", question
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is not of SQuAD's form, data > paragraphs > context and qas, and is no list of objects with "
            f"question, context and answers: look at {place} ({error!r})"
        ) from error


def _of_article(article: Mapping[str, Any], place: str) -> Iterator[_Question]:
    for paragraph in _list_of(article, "paragraphs"):
        for entry in _list_of(paragraph, "qas"):
            yield _Question(article.get("title") or place, paragraph["context"], dict(entry))


def _list_of(holder: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(value := holder[key], list):
        raise TypeError(f"{key} is no list")
    return value


def _flat(entry: Mapping[str, Any]) -> _Question:
    """Where rows have no titles, questions on one context stand together."""
    return _Question(entry.get("title") or entry.get("context"), entry.get("context"), entry)


def _checked(question: _Question, labelled: bool, some_unanswerable: bool) -> dict[str, Any] | Bad:
    """The question as a row of the table, and its article."""
    article, context, entry = question
    text, name = entry.get("question"), entry.get("id")
    for noun, value in (("question", text), ("context", context)):
        if not isinstance(value, str) or not value.strip():
            return Bad("no text", f"the {noun} is empty or not a text")
        if not is_utf8(value):
            return Bad("not UTF-8", f"the {noun} holds half of a surrogate pair")
    if not isinstance(name, (str, int, type(None))) or not is_utf8(str(name)):
        return Bad("wrong type", f"the id {name!r} is not a text"[:200])
    row = {"article": article, "text": text, "text_pair": context, "id": "" if name is None else str(name)}
    if not labelled:
        return row
    assert isinstance(context, str)  # as was checked above
    label = _answers(entry, context, some_unanswerable and "context" in entry)
    return label if isinstance(label, Bad) else row | {"label": label}


def _answers(entry: Mapping[str, Any], context: str, may_be_empty: bool) -> list[dict[str, Any]] | Bad:
    """The answers, none of a question that has none.

    Args:
        may_be_empty: whether an empty list of answers says so, without ``is_impossible``.
    """
    impossible, answers = entry.get("is_impossible"), entry.get("answers")
    is_impossible = _TRUTH.get(str(impossible).strip().lower())
    if is_impossible is None:
        return Bad("wrong type", f"is_impossible is {impossible!r} and neither true nor false"[:200])
    if isinstance(answers, dict) and set(map(type, answers.values())) == {list}:
        answers = [dict(zip(answers, values, strict=True)) for values in zip_longest(*answers.values())]
    if not isinstance(answers, list) and answers is not None:
        return Bad("wrong type", f"answers is {answers!r} and not a list of a text and an answer_start each"[:300])
    if is_impossible:
        given = [answer for answer in answers or () if not isinstance(answer, dict) or answer.get("text")]
        if given:
            return Bad(
                "impossible, with an answer", f"it is marked is_impossible and has the answer {given[0]!r}"[:300]
            )
        return []
    if not answers:
        if may_be_empty and impossible is None and answers is not None:
            return []
        return Bad("no answer", "it has no answers and is not marked is_impossible")
    label = []
    for answer in answers:
        text, start = (answer.get(key) if isinstance(answer, dict) else None for key in ("text", "answer_start"))
        if not isinstance(text, str) or not text or type(start) is not int:
            return Bad("no answer", f"the answer {answer!r} is not one of a text and an answer_start"[:300])
        if start < 0 or not context.startswith(text, start):
            stands = f", but at {context.index(text)}" if text in context else ", nor anywhere in the context"
            return Bad("answer not in context", f"the answer {text[:80]!r} does not stand at character {start}{stands}")
        label.append({"text": text, "start": start})
    return label
