"""SQuAD's json: what is read, what is refused, and that no article stands on two sides of a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bertexp.config.resolve import compose_config
from bertexp.config.schema import DatasetConfig
from bertexp.data.find import source as dataset_source
from bertexp.data.find.locate import locate_dataset
from bertexp.data.formats.squad import read_squad
from bertexp.data.splits import draw_groups, hold_out
from bertexp.data.table import TextDataset
from bertexp.errors import DataError
from bertexp.runs.plan import make_plan

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


def load(tmp_path: Path, **settings: object) -> TextDataset:
    return locate_dataset(DatasetConfig(**settings), str(tmp_path / "cache"), "question_answering").load()


def test_one_file_is_split_by_article_and_found_alone_in_its_folder(tmp_path):
    path = write(tmp_path / "xquad.de.json", *([question(10 * n + i) for i in range(4)] for n in range(10)))
    for place in (path, tmp_path):
        dataset = load(tmp_path, name="xquad", path=str(place))
        ids = {split: table["id"].to_pylist() for split, table in dataset.splits.items()}
        assert {split: len(held) for split, held in ids.items()} == {"train": 24, "val": 8, "test": 8}
        articles = {split: {int(one[1:]) // 10 for one in held} for split, held in ids.items()}
        assert sum(map(len, articles.values())) == 10
        assert (dataset.task, dataset.has_pair, dataset.label_names) == ("question_answering", True, ())
        assert dataset.judged_split == "test"
        assert all(dataset.splits["train"]["label"].to_pylist())
    assert load(tmp_path, name="squad", path=str(path), limit_train=5).splits["train"].num_rows == 5
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"several json files \(other.json, xquad.de.json\); name.*train_file"):
        load(tmp_path, name="xquad", path=str(tmp_path))


def test_the_official_dev_set_is_the_test_set_and_validation_is_held_out_of_train(tmp_path):
    articles = [[question(10 * n + i) for i in range(4)] for n in range(10)]
    write(tmp_path / "train-v1.1.json", *articles)
    write(tmp_path / "dev-v1.1.json", articles[0][:3])
    dataset = load(tmp_path, name="squad", path=str(tmp_path), val_fraction=0.1)
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 36, "val": 4, "test": 3}
    same = load(tmp_path, name="squad", path=str(tmp_path), val_fraction=0.0)
    assert same.tests_on_validation
    impossible = {"id": "q2", "question": "Who?", "answers": [], "is_impossible": True}
    for name, rows in (("train", [question(0), impossible]), ("dev", [impossible])):
        write(tmp_path / f"{name}-v2.0.json", rows, rows, rows)
    second = load(tmp_path, name="squad_v2", path=str(tmp_path))
    assert [] in second.splits["train"]["label"].to_pylist()
    assert second.splits["test"]["label"].to_pylist() == [[]] * 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no json file and not train-v2\.0\.json with its dev file"):
        load(tmp_path, name="squad_v2", path=str(tmp_path / "empty"))


def test_splits_may_be_files_of_their_own_and_a_test_file_may_lack_answers(tmp_path):
    for name, count in (("a", 5), ("b", 3)):
        write(tmp_path / f"{name}.json", [question(i) for i in range(count)])
    write(tmp_path / "c.json", [{"id": "q1", "question": "Who?"}])
    files = {"train_file": "a.json", "val_file": "b.json", "test_file": str(tmp_path / "c.json")}
    dataset = load(tmp_path, name="squad", path=str(tmp_path), **files)
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 5, "val": 3, "test": 1}
    assert dataset.judged_split == "val"
    with pytest.raises(DataError, match=r"dataset\.val_file=d\.json does not exist"):
        load(tmp_path, name="squad", path=str(tmp_path), train_file="a.json", val_file="d.json")


def test_what_is_to_download_is_known_and_fetched_once(tmp_path, monkeypatch):
    official = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
    for name, urls in (
        ("squad", [f"{official}/train-v1.1.json", f"{official}/dev-v1.1.json"]),
        ("squad_v2", [f"{official}/train-v2.0.json", f"{official}/dev-v2.0.json"]),
        ("xquad", ["https://raw.githubusercontent.com/google-deepmind/xquad/master/xquad.en.json"]),
    ):
        source = locate_dataset(DatasetConfig(name=name), str(tmp_path), "question_answering")
        assert list(source.urls) == urls
    mirror = locate_dataset(DatasetConfig(name="squad", url="https://x.org/d/"), str(tmp_path), "question_answering")
    assert mirror.urls[0] == "https://x.org/d/train-v1.1.json"

    def fake_fetch(url, destination, *checks):
        destination.parent.mkdir(parents=True, exist_ok=True)
        write(destination, *([question(i)] for i in range(9)))

    monkeypatch.setattr(dataset_source, "fetch", fake_fetch)
    assert load(tmp_path, name="xquad").splits["train"].num_rows == 5
    assert locate_dataset(DatasetConfig(name="xquad"), str(tmp_path / "cache"), "question_answering").urls == ()


def test_the_dataset_brings_its_task(tmp_path):
    config, _ = compose_config(["dataset=squad"])
    assert (config.task.name, config.task.main_metric, config.model.pooling) == ("question_answering", "f1", "none")
    assert (config.dataset.max_length, config.dataset.overlap) == (384, 128)
    recipe, _ = compose_config(["experiment=xquad_minilm"])
    assert (recipe.task.name, recipe.dataset.overlap) == ("question_answering", 64)
    with pytest.raises(DataError, match="labels for task=question_answering, not for task=classification"):
        make_plan(compose_config(["dataset=xquad", "task=classification"])[0])
    with pytest.raises(DataError, match=r"dataset=xquad does not use dataset\.text_column"):
        load(tmp_path, name="xquad", text_column="body")


FLAT = [
    {
        "id": "q0",
        "title": "t",
        "context": CONTEXT,
        "question": "Where?",
        "answers": {"text": ["Oslo"], "answer_start": [15]},
    },
    {"id": 1, "context": CONTEXT, "question": "Who?", "answers": {"text": ["Ann", "Zoë"], "answer_start": [8, 0]}},
    {"id": "q2", "context": "Rain.", "question": "What?", "answers": [{"text": "Rain", "answer_start": 0}]},
    {"id": "q3", "context": CONTEXT, "question": "When?", "answers": {"text": [], "answer_start": []}},
]


def test_questions_that_lie_flat_are_read_as_json_and_as_jsonl(tmp_path):
    for name, content in (
        ("a.json", json.dumps({"data": FLAT})),
        ("b.json", json.dumps(FLAT)),
        ("c.jsonl", "\n\n".join(map(json.dumps, FLAT))),
    ):
        (tmp_path / name).write_text(content)
        found = read_squad(tmp_path / name, some_unanswerable=True)
        assert found.table["id"].to_pylist() == ["q0", "1", "q2", "q3"]
        assert found.table["label"].to_pylist() == [
            [{"text": "Oslo", "start": 15}],
            [{"text": "Ann", "start": 8}, {"text": "Zoë", "start": 0}],
            [{"text": "Rain", "start": 0}],
            [],
        ]
        assert found.articles.tolist() == [0, 1, 2, 1]  # without titles, questions on one context stay together
        with pytest.raises(DataError, match=r"(question 'q3'|c\.jsonl:7): it has no answers and is not marked"):
            read_squad(tmp_path / name)
    (tmp_path / "d.jsonl").write_text(json.dumps(FLAT[0]) + "\n{\n")
    with pytest.raises(DataError, match=r"d\.jsonl:2: the line is not valid JSON"):
        read_squad(tmp_path / "d.jsonl")


def test_a_flat_file_alone_in_its_folder_is_found(tmp_path):
    rows = [FLAT[0] | {"title": f"t{number}", "id": f"q{number}"} for number in range(10)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("squad", "squad_v2"):
        dataset = load(tmp_path, name=name, path=str(tmp_path))
        assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 6, "val": 2, "test": 2}


@pytest.mark.parametrize(
    ("more", "answered"),
    [
        ({"is_impossible": "False"}, True),
        ({"is_impossible": "false "}, True),
        ({"is_impossible": 0}, True),
        ({"is_impossible": None}, True),
        ({"is_impossible": "True", "answers": []}, False),
        ({"is_impossible": 1, "answers": None}, False),
        ({"is_impossible": True, "answers": [{"text": "", "answer_start": -1}]}, False),
        ({"is_impossible": True, "answers": {"text": [], "answer_start": []}}, False),
        ({"answers": {"text": ["Oslo"], "answer_start": [15]}}, True),
    ],
)
def test_a_field_of_another_type_is_read_by_its_meaning(tmp_path, more, answered):
    label = read_squad(write(tmp_path / "x.json", [question(0) | more])).table["label"].to_pylist()
    assert label == [[{"text": "Oslo", "start": 15}] if answered else []]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"is_impossible": "no"}, "is_impossible is 'no' and neither true nor false"),
        ({"is_impossible": []}, r"is_impossible is \[\] and neither"),
        ({"is_impossible": 2}, "is_impossible is 2 and neither"),
        ({"is_impossible": True}, r"marked is_impossible and has the answer .*Oslo"),
        ({"is_impossible": "true"}, "marked is_impossible and has the answer"),
        ({"answers": "Oslo"}, "answers is 'Oslo' and not a list"),
        ({"answers": {"text": "Oslo", "answer_start": 15}}, "and not a list"),
        ({"answers": {"text": ["Oslo"], "answer_start": []}}, "not one of a text and an answer_start"),
        ({"answers": [{"text": "Oslo", "answer_start": "15"}]}, "not one of a text and an answer_start"),
        ({"answers": [{"text": "Oslo", "answer_start": True}]}, "not one of a text and an answer_start"),
        ({"id": ["q7"]}, r"the id \['q7'\] is not a text"),
        ({"id": "\ud800"}, "the id .* is not a text"),
    ],
)
def test_a_field_whose_meaning_is_not_plain_is_an_error(tmp_path, more, message):
    path = write(tmp_path / "x.json", [question(0), question(7) | more])
    with pytest.raises(DataError, match=message):
        read_squad(path)
    assert sum(read_squad(path, "skip").skipped.values()) == 1


@pytest.mark.parametrize(
    "content", ['{"data": {}}', '{"data": [{"paragraphs": ""}]}', '{"data": [{"paragraphs": [{"qas": {}}]}]}']
)
def test_what_should_be_a_list_and_is_none_is_not_passed_over(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=r"not of SQuAD's form.* is no list"):
        read_squad(tmp_path / "x.json")


def test_articles_without_a_title_are_not_one_article(tmp_path):
    articles = [{"title": None, "paragraphs": [{"context": CONTEXT, "qas": [question(i)]}]} for i in range(3)]
    (tmp_path / "x.json").write_text(json.dumps({"data": articles}))
    assert read_squad(tmp_path / "x.json").articles.tolist() == [0, 1, 2]
