"""Labels as files spell them: which spellings are one class, which mean that there is none, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.locate import locate_dataset
from bertexp.data.summary import summarize
from bertexp.data.table import TextDataset, is_labelled
from bertexp.errors import DataError

FORMATS = ("csv", "tsv", "jsonl", "parquet")


def write(path: Path, labels: list[object]) -> Path:
    """Rows with these labels; in csv and tsv, as they stand."""
    rows = [{"text": f"text {number}", "label": label} for number, label in enumerate(labels)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        comma = "," if path.suffix == ".csv" else "\t"
        spelled = [["text", "label"], *([row["text"], "" if row["label"] is None else row["label"]] for row in rows)]
        path.write_text("".join(f"{text}{comma}{label}\n" for text, label in spelled))
    return path


def load(folder: Path, task: str = "classification", **settings: object) -> TextDataset:
    config = DatasetConfig(name="files", path=str(folder), **settings)
    return locate_dataset(config, str(folder / "cache"), task).load()


def spelled(dataset: TextDataset, split: str) -> list[str]:
    return [dataset.spell_label(label) for label in dataset.splits[split]["label"]]


# one value, several spellings


@pytest.mark.parametrize(
    ("test", "labels"), [("test.csv", ["1", "2.00", "4"]), ("test.jsonl", [1, 2.0, 4]), ("test.parquet", [1, 2, 4])]
)
def test_equal_numbers_of_all_files_are_one_class(tmp_path, test, labels):
    write(tmp_path / "train.csv", ["1.0", "2.0", "3.0", "4.0", "4"] * 4)
    write(tmp_path / test, labels)
    dataset = load(tmp_path)
    assert [float(name) for name in dataset.label_names] == [1, 2, 3, 4]
    assert [float(label) for label in spelled(dataset, "test")] == [1, 2, 4]
    assert dataset.label_names[0] == "1"  # the shortest spelling there is
    assert dataset.label_names[3] == "4"
    note = next(note for note in dataset.notes if "equal numbers are one class" in note)
    assert "'1.0' (4 rows) and '1' (1 row)" in note


@pytest.mark.parametrize("odd", ["01", "+1", "1_0", "one", "\u00bd"])
def test_one_label_that_is_no_number_keeps_all_of_them_texts_and_that_is_said(tmp_path, odd):
    write(tmp_path / "train.csv", ["1", "1.0", odd, "2"] * 5)
    dataset = load(tmp_path)
    assert sorted(dataset.label_names) == sorted(["1", "1.0", odd, "2"])
    note = next(note for note in dataset.notes if "stay classes of their own" in note)
    assert f"{odd!r} is text" in note
    assert "'1' (5 rows) and '1.0' (5 rows)" in note


def test_numbers_that_floats_cannot_tell_apart_are_two_classes(tmp_path):
    write(tmp_path / "train.csv", ["9007199254740992", "9007199254740993"] * 5)
    assert load(tmp_path).label_names == ("9007199254740992", "9007199254740993")


def test_a_class_is_never_guessed_from_a_place_that_nobody_named(tmp_path):
    write(tmp_path / "train.csv", ["bad", "good"] * 5)
    write(tmp_path / "test.csv", ["0", "1"])
    with pytest.raises(DataError, match=r"test\.csv:2: the class '0' is not one of bad, good"):
        load(tmp_path)
    with_names = load(tmp_path, label_names=["good", "bad"])
    assert spelled(with_names, "test") == ["good", "bad"]
    assert any("'0' (1 row) as 'good'" in note for note in with_names.notes)
    write(tmp_path / "train.csv", ["0.5", "1.5"] * 5)
    with pytest.raises(DataError, match=r"test\.csv:2: the class '0' is not one of 0\.5, 1\.5"):
        load(tmp_path)


def test_numbers_that_were_named_are_known_however_they_are_spelled(tmp_path):
    write(tmp_path / "train.csv", ["1.0", "2.0"] * 5)
    dataset = load(tmp_path, label_names=["2", "1"])
    assert dataset.label_names == ("2", "1")
    assert set(dataset.splits["train"]["label"].to_pylist()) == {0, 1}
    with pytest.raises(DataError, match=r"names a class twice: 1, 1\.0"):
        load(tmp_path, label_names=["1", "1.0", "2"])


def test_sets_of_classes_follow_the_same_rule(tmp_path):
    write(tmp_path / "train.jsonl", [["1.0", "2.0"], ["2.0"]] * 5)
    write(tmp_path / "test.jsonl", [[2], [1, 2.0]])
    dataset = load(tmp_path, "multi_label")
    assert dataset.label_names == ("1", "2")
    assert dataset.splits["test"]["label"].to_pylist() == [[1], [0, 1]]


def test_what_was_read_one_way_before_keeps_names_and_order(tmp_path):
    for labels, names in (
        (["10", "9", "1"], ("1", "9", "10")),
        (["10.0", "9.0", "1.0"], ("1.0", "10.0", "9.0")),
        (["02", "1", "010"], ("1", "02", "010")),
        (["b", "10", "a"], ("10", "a", "b")),
    ):
        write(tmp_path / "train.csv", labels * 4)
        dataset = load(tmp_path)
        assert dataset.label_names == names
        assert dataset.notes == ()


# near-equal names


def test_near_equal_names_stay_apart_and_are_counted(tmp_path):
    write(tmp_path / "train.csv", ["Billing", "billing", "Tech  nical", "Tech nical", "other"] * 4)
    write(tmp_path / "test.csv", ["billing"])
    dataset = load(tmp_path)
    assert len(dataset.label_names) == 5
    note = next(note for note in dataset.notes if "stay apart" in note)
    assert "'Billing' (4 rows) and 'billing' (5 rows)" in note
    assert "'Tech  nical' (4 rows) and 'Tech nical' (4 rows)" in note
    assert "dataset.label_cleanup=casefold" in note


def test_label_cleanup_joins_them(tmp_path):
    write(tmp_path / "train.csv", ["Billing", "billing\u200b", "billing", "Tech  nical", "other"] * 4)
    write(tmp_path / "test.csv", ["BILLING", "Other"])
    stripped = load(tmp_path, label_cleanup="strip", test_file="train.csv")
    assert stripped.label_names == ("Billing", "Tech nical", "billing", "other")
    assert any("label_cleanup=strip" in note and "'billing' (8 rows)" in note for note in stripped.notes)
    folded = load(tmp_path, label_cleanup="casefold")
    assert folded.label_names == ("billing", "other", "tech nical")
    assert spelled(folded, "test") == ["billing", "other"]
    named = load(tmp_path, label_cleanup="casefold", label_names=["Other", "Billing", "Tech nical"])
    assert spelled(named, "test") == ["Billing", "Other"]


@pytest.mark.parametrize("task", ["regression", "tagging"])
def test_a_task_without_names_to_clean_refuses_label_cleanup(tmp_path, task):
    write(tmp_path / "train.jsonl", [1, 2])
    with pytest.raises(DataError, match=r"does not use dataset\.label_cleanup"):
        load(tmp_path, task, label_cleanup="strip")


def test_the_summary_lists_up_to_twenty_classes_with_their_rows(tmp_path):
    for count in (3, 20, 30):
        write(tmp_path / "train.csv", [f"class {number}" for number in range(count)] * 10)
        dataset = load(tmp_path)
        lengths = {split: np.full(table.num_rows, 5) for split, table in dataset.splits.items()}
        text = summarize(dataset, lengths, 128, [], 1_000, True).text()
        lines = text.splitlines()
        assert max(map(len, lines)) <= 120
        listed = text[text.index("\nclasses ") :]
        assert listed.count("class ") >= min(count, 20)
        assert "class 2 6" in " ".join(listed.split())
        assert ("10 more" in listed) == (count == 30)


# no label


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("csv", ""), ("csv", "NaN"), ("csv", "null"), ("tsv", " "), ("tsv", "nan"), ("jsonl", None), ("jsonl", float("nan")),
     ("jsonl", ""), ("jsonl", "NaN"), ("parquet", None), ("parquet", float("nan"))],
)  # fmt: skip
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_missing_label_is_no_class_in_any_format(tmp_path, kind, missing, task):
    write(tmp_path / f"train.{kind}", [*([0.0, 1.0] if kind == "parquet" else [0, 1]) * 10, missing])
    with pytest.raises(DataError, match=r"(22|row 21|21): the label .*(missing|not a number)"):
        load(tmp_path, task)
    dataset = load(tmp_path, task, on_bad_row="skip")
    assert sum(dataset.skipped.values()) == 1
    if task == "classification":
        assert dataset.label_names == ("0", "1")
        assert dataset.skipped == {"no label": 1}


def test_a_class_named_null_is_one_if_it_is_named(tmp_path):
    write(tmp_path / "train.csv", ["null", "alternative"] * 5)
    with pytest.raises(DataError, match=r"'null' is a class only if dataset\.label_names has it"):
        load(tmp_path)
    assert load(tmp_path, label_names=["null", "alternative"]).label_names == ("null", "alternative")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_number_that_is_too_large_is_an_error(tmp_path, kind, task):
    labels = [0.0, 1.0] * 5 if kind == "parquet" else [0, 1] * 5
    path = write(tmp_path / f"train.{kind}", [*labels, float("inf") if kind == "parquet" else 123.5])
    if kind != "parquet":
        path.write_text(path.read_text().replace("123.5", "1e400"))
    with pytest.raises(DataError, match=r"(beyond the numbers|not a number)"):
        load(tmp_path, task)


@pytest.mark.parametrize("mark", ["-1", "?"])
def test_a_test_with_marks_for_no_label_is_predicted_and_not_judged(tmp_path, mark):
    write(tmp_path / "train.csv", ["0", "1"] * 10)
    write(tmp_path / "test.csv", [mark] * 3)
    dataset = load(tmp_path)
    assert dataset.splits["test"]["label"].to_pylist() == [-1] * 3
    assert dataset.judged_split == "val"
    assert any("3 of 3 rows of test are unlabelled" in note for note in dataset.notes)
    write(tmp_path / "test.csv", ["1", mark, "0"])
    dataset = load(tmp_path)
    assert spelled(dataset, "test") == ["1", "0"]
    assert dataset.judged_split == "test"
    assert any("1 of 3 rows of test are unlabelled" in note and "left out" in note for note in dataset.notes)


def test_a_validation_split_without_any_label_is_held_out_of_the_training_rows(tmp_path):
    write(tmp_path / "train.csv", ["a", "b"] * 10)
    write(tmp_path / "val.csv", ["?"] * 3)
    dataset = load(tmp_path)
    assert dataset.splits["val"].num_rows == 4
    assert is_labelled(dataset.splits["val"])
    assert any("3 of 3 rows of val are unlabelled" in note for note in dataset.notes)


@pytest.mark.parametrize("spelling", ["-1", "-1.0"])
def test_what_a_training_row_has_is_a_label(tmp_path, spelling):
    write(tmp_path / "train.csv", [spelling, "0", "1"] * 5)
    write(tmp_path / "test.csv", ["-1", "1"])
    dataset = load(tmp_path)
    assert [float(label) for label in spelled(dataset, "test")] == [-1, 1]
    assert not any("unlabelled" in note for note in dataset.notes)


def test_minus_one_is_a_number_to_a_regression_and_a_question_mark_is_none(tmp_path):
    write(tmp_path / "train.csv", ["0.5", "1"] * 10)
    write(tmp_path / "test.csv", ["-1", "2"])
    assert load(tmp_path, "regression").splits["test"]["label"].to_pylist() == [-1, 2]
    write(tmp_path / "test.csv", ["?", "2"])
    with pytest.raises(DataError, match=r"test\.csv:2: the label '\?' is not a number"):
        load(tmp_path, "regression")


def test_sets_of_classes_know_the_marks(tmp_path):
    write(tmp_path / "train.jsonl", [["a", "b"], ["b"]] * 5)
    write(tmp_path / "test.jsonl", [["a"], ["?"], []])
    dataset = load(tmp_path, "multi_label")
    assert dataset.splits["test"]["label"].to_pylist() == [[0], []]


# structure in a cell


@pytest.mark.parametrize(
    ("both", "one", "none"),
    [("\"['a', 'b']\"", "['b']", "[]"), ('"[""a"", ""b""]"', '"[""b""]"', "[]"), ('"a,b"', "b", ""),
     ("\"['a',\"\"b\"\",]\"", "[ 'b' ]", "[ ]")],
)  # fmt: skip
def test_a_list_in_a_cell_is_read(tmp_path, both, one, none):
    write(tmp_path / "train.csv", [both, one, none] * 5)
    dataset = load(tmp_path, "multi_label", val_fraction=0.2, test_fraction=0.2)
    assert dataset.label_names == ("a", "b")
    rows = [row for table in dataset.splits.values() for row in table["label"].to_pylist()]
    assert sorted(rows) == sorted([[0, 1], [1], []] * 5)
    assert dataset.notes == ("5 rows have no class: their cell or list is empty",)


@pytest.mark.parametrize(
    "cell", ["['a' 'b']", "[a, b]", "\"('a', 'b')\"", "{'a'}", "\"['a', 'b'\"", '"{""a"": 1}"', "['a', None]", "[01]"]
)
def test_what_looks_like_a_list_and_is_none_is_refused(tmp_path, cell):
    quoted = cell if cell.startswith('"') else f'"{cell}"'
    write(tmp_path / "train.csv", ["a", "b", quoted] * 5)
    with pytest.raises(DataError, match=r"train\.csv:4: the label .* looks like a list"):
        load(tmp_path, "multi_label")


def test_a_list_in_a_cell_is_no_single_class(tmp_path):
    write(tmp_path / "train.csv", ["\"['a', 'b']\"", "['a']"] * 5)
    with pytest.raises(DataError, match=r"the label is a list, .*multi_label"):
        load(tmp_path)


@pytest.mark.parametrize("task", ["classification", "multi_label", "regression"])
@pytest.mark.parametrize(
    "label",
    [
        pa.array([{"id": 1}, {"id": 2}] * 5),
        pa.array([[("a", 1)], [("b", 2)]] * 5, pa.map_(pa.string(), pa.int64())),
        pa.array([[["a"]], [["b"]]] * 5),
    ],
)
def test_records_and_maps_are_one_sentence(tmp_path, task, label):
    pq.write_table(pa.table({"text": ["a text"] * 10, "label": label}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"column 'label' of .*train\.parquet holds .*dataset\.label_column"):
        load(tmp_path, task)


@pytest.mark.parametrize("task", ["classification", "multi_label", "regression"])
def test_records_in_jsonl_are_one_sentence(tmp_path, task):
    write(tmp_path / "train.jsonl", [{"id": 1}, {"id": 2}])
    with pytest.raises(DataError, match=r"train\.jsonl:1: the label"):
        load(tmp_path, task)


@pytest.mark.parametrize(
    ("name", "labels"),
    [("train.jsonl", [False, True]), ("train.csv", ["False", "True"]), ("train.csv", ["false", "true"]),
     ("train.parquet", [False, True])],
)  # fmt: skip
@pytest.mark.parametrize("names", [["False", "True"], ["false", "true"]])
def test_truth_values_are_named_as_the_command_line_spells_them(tmp_path, name, labels, names):
    write(tmp_path / name, labels * 5)
    dataset = load(tmp_path, label_names=names, val_fraction=0.2, test_fraction=0)
    assert dataset.label_names == tuple(names)
    assert (
        sorted(label for table in dataset.splits.values() for label in table["label"].to_pylist()) == [0] * 5 + [1] * 5
    )
