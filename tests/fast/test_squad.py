"""SQuAD's json: what is read, what is refused, and that no article stands on two sides of a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.splits import draw_groups, hold_out
from bertexp.data.squad import read_squad
from bertexp.errors import DataError

CONTEXT = "Zoë met Ann in Oslo 😀. It rained in Oslo."


def question(number: int, text: str = "Where?", answer: str = "Oslo", start: int = 15, **more: object) -> dict:
    return {"id": f"q{number}", "question": text, "answers": [{"text": answer, "answer_start": start}], **more}


def write(path: Path, *articles: list[dict]) -> Path:
    data = [
        {"title": f"Title {number}", "paragraphs": [{"context": CONTEXT, "qas": questions}]}
        for number, questions in enumerate(articles)
    ]
    path.write_text(json.dumps({"version": "1.1", "data": data}))
    return path


def test_questions_contexts_and_answers_are_read_with_their_places_in_characters(tmp_path):
    impossible = {"id": "q2", "question": "Who?", "answers": [], "is_impossible": True, "plausible_answers": []}
    found = read_squad(write(tmp_path / "x.json", [question(0), question(1, start=36)], [impossible]))
    assert found.table.to_pylist()[1] == {
        "text": "Where?",
        "text_pair": CONTEXT,
        "label": [{"text": "Oslo", "start": 36}],
        "id": "q1",
    }
    assert found.table["label"].to_pylist()[2] == []
    assert found.articles.tolist() == [0, 0, 1]
    assert not found.skipped


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (question(7, start=14), r"'q7'.*'Oslo' does not stand at character 14, but at 15; mend it.*on_bad_row=skip"),
        (question(7, answer="Rome"), "'Rome' does not stand at character 15, nor anywhere in the context"),
        (question(7, start=-5), "does not stand at character -5"),
        (question(7, text=" "), "the question is empty"),
        (question(7, text="\ud83d?"), "half of a surrogate pair"),
        (question(7) | {"answers": []}, "no answers and is not marked is_impossible"),
        (question(7) | {"answers": [{"text": "Oslo"}]}, "not one of a text and an answer_start"),
        ({"id": "q7", "question": "Who?"}, "no answers"),
    ],
)
def test_a_bad_question_is_named_or_left_out_and_counted(tmp_path, bad, message):
    path = write(tmp_path / "x.json", [question(0), bad])
    with pytest.raises(DataError, match=message) as error:
        read_squad(path)
    assert str(path) in str(error.value)
    found = read_squad(path, "skip")
    assert found.table.num_rows == 1
    assert sum(found.skipped.values()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.json:1: not valid JSON"),
        ('{"data": [\n{]', "x.json:2: not valid JSON"),
        ('{"text": []}', "not of SQuAD's form.*top level"),
        ('[{"context": 1}]', "not of SQuAD's form"),
        ('{"data": [{"title": "a", "paragraphs": []}, {"title": "b"}]}', "article 2"),
        ('{"data": []}', "no usable question"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_squad(tmp_path / "x.json")


def test_a_test_file_may_lack_all_answers_but_not_some(tmp_path):
    bare = {"id": "q1", "question": "Who?"}
    alone = write(tmp_path / "alone.json", [bare, bare])
    assert read_squad(alone, may_lack_answers=True).table["label"].to_pylist() == [None, None]
    with pytest.raises(DataError, match="no answers"):
        read_squad(alone)
    with pytest.raises(DataError, match="no answers"):
        read_squad(write(tmp_path / "mixed.json", [question(0), bare]), may_lack_answers=True)


def test_no_group_stands_in_two_splits_and_the_seed_decides():
    generator = np.random.default_rng(0)
    for seed in range(30):
        groups = generator.permutation(np.repeat(np.arange(12), generator.integers(1, 40, 12)))
        table = pa.table({"row": np.arange(len(groups))})
        config = DatasetConfig(split_seed=seed)
        splits = hold_out(table, {"test": 0.2, "val": 0.2}, (), config, groups)
        rows = {split: held["row"].to_numpy() for split, held in splits.items()}
        assert sorted(np.concatenate(list(rows.values()))) == list(range(len(groups)))
        members = {split: set(groups[held]) for split, held in rows.items()}
        assert min(map(len, members.values())) >= 1
        assert sum(map(len, members.values())) == 12
        assert abs(len(rows["test"]) - len(groups) / 5) <= 40
        assert hold_out(table, {"test": 0.2, "val": 0.2}, (), config, groups) == splits
    groups = np.repeat(np.arange(48), 25)
    assert draw_groups(groups, 240, seed=1).tolist() != draw_groups(groups, 240, seed=2).tolist()
    assert len(draw_groups(groups, 240, seed=1)) == 250


def test_too_few_groups_cannot_be_split():
    table = pa.table({"row": np.arange(10)})
    with pytest.raises(DataError, match="2 articles or groups of rows cannot be split into train, test and val"):
        hold_out(table, {"test": 0.2, "val": 0.2}, (), DatasetConfig(), np.arange(10) % 2)
    groups = np.array([0] * 8 + [1, 2])
    sizes = {
        split: held.num_rows
        for split, held in hold_out(table, {"test": 0.2, "val": 0.2}, (), DatasetConfig(), groups).items()
    }
    assert sorted(sizes.values()) == [1, 1, 8]
    assert min(sizes.values()) == 1
