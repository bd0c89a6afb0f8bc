"""The predict command's input and mistakes, all found before TensorFlow."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from bertexp.commands.predict import main
from bertexp.errors import ConfigError, DataError, RunNotFound
from bertexp.runs.comparison import find_runs
from bertexp.runs.folder import find_run
from bertexp.serving.texts import read_file, read_words


@pytest.fixture
def outputs(tmp_path) -> Path:
    """An outputs folder with a finished run of one text and, newer, a failed one without a model."""
    for name, info in (("1_done", {"mlflow_run_id": "a" * 32}), ("2_failed", {"state": "failed"})):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps(info))
    add_model(tmp_path / "runs" / "1_done" / "model", has_pair=False)
    return tmp_path


def add_model(folder: Path, has_pair: bool) -> Path:
    folder.mkdir()
    (folder / "saved_model.pb").touch()
    (folder / "bertexp.json").write_text(
        json.dumps({"format": 2, "inputs": ["text", "text_pair"][: 1 + has_pair], "reads_words": False})
    )
    return folder


def predict(outputs: Path, *words: str) -> None:
    main([*words, "--outputs-dir", str(outputs)])


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)


def test_run_without_a_model_names_one_that_has_it(outputs):
    with pytest.raises(
        RunNotFound, match=r"2_failed \(failed\) has no exported model; the newest run that has one is 1_done"
    ):
        predict(outputs, "last", "a text")


def test_unknown_run_and_foreign_saved_model_are_told(outputs, tmp_path):
    with pytest.raises(RunNotFound, match="no run is called 'nowhere'"):
        predict(outputs, "nowhere", "a text")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "saved_model.pb").touch()
    with pytest.raises(RunNotFound, match=r"bertexp\.json is missing"):
        predict(outputs, str(tmp_path / "foreign"), "a text")


def test_model_of_pairs_wants_an_even_number_of_texts(outputs, tmp_path):
    folder = add_model(tmp_path / "pairs", has_pair=True)
    with pytest.raises(DataError, match=r"two texts at a time.*not 3"):
        predict(outputs, str(folder), "a", "b", "c")


def test_missing_input_is_told(outputs, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(DataError, match="standard input holds no text"):
        predict(outputs, "1_done")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(DataError, match="no text to answer"):
        predict(outputs, "1_done")
    with pytest.raises(DataError, match="does not exist"):
        predict(outputs, "1_done", "--file", "nowhere.csv")
    with pytest.raises(DataError, match=r"must end in \.csv or \.jsonl"):
        predict(outputs, "1_done", "a", "--output", "x.xls")


def test_a_word_that_would_be_passed_over_is_told(outputs, tmp_path):
    table, lines = tmp_path / "a.csv", tmp_path / "a.txt"
    for path in (table, lines):
        path.write_text("text\nfine\n")
    for words, told in (
        (["--file", str(table), "a text"], "--file and the text 'a text' are both given"),
        (["a text", "--text-column", "text"], "--text-column names a column, and no column is read"),
        (["--file", str(lines), "--text-column", "text"], "--text-column names a column, and no column is read"),
        (["--file", str(table), "--pair-column", "text"], "--pair-column names a second column"),
        (["a text", "--json", "--output", "x.csv"], "--json is for the terminal"),
        (["--file", ""], "--file is empty"),
        (["a text", "--output="], "--output is empty"),
    ):
        with pytest.raises(ConfigError, match=told):
            predict(outputs, "1_done", *words)
    with pytest.raises(ConfigError, match="RUN is empty"):
        predict(outputs, "", "a text")
    with pytest.raises(ConfigError, match="--outputs-dir is empty"):
        main(["1_done", "a text", "run.outputs_dir="])


def test_no_run_has_an_empty_name(outputs):
    with pytest.raises(RunNotFound, match="the name of a run is empty"):  # not 2_failed, which has no run id
        find_run("", str(outputs))
    with pytest.raises(RunNotFound, match="the name of a run is empty"):
        find_runs(["", "1_done"], str(outputs))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text,text_pair\n1,"one, with\nnewline",two\n2,7,\n'),
        ("a.jsonl", '{"text": "one, with\\nnewline", "text_pair": "two"}\n{"text": "7", "text_pair": ""}\n'),
    ],
)
def test_tables_are_read_by_column_name(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert read_file(tmp_path / name, ("text", "text_pair")).rows == [("one, with\nnewline", "two"), ("7", "")]


def test_quotes_in_a_tsv_are_plain_characters_as_in_training(tmp_path):
    (tmp_path / "a.tsv").write_text('text_pair\ttext\ntwo\t"one\n\t7\n')
    assert read_file(tmp_path / "a.tsv", ("text", "text_pair")).rows == [('"one', "two"), ("7", "")]


def test_plain_lines_hold_one_text_or_two_parted_by_a_tab(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffone, two\nthree\n", encoding="utf-8")
    assert read_file(tmp_path / "a.txt", ("text",)).rows == [("one, two",), ("three",)]
    with pytest.raises(DataError, match=r"line 1 of .*a\.txt must hold two texts parted by a tab"):
        read_file(tmp_path / "a.txt", ("text", "text_pair"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"review\nfine\n", "no column 'text', only review"),
        ("a.csv", b"text\n\xff\xfe\n", "cannot be read"),
        ("a.txt", b"\xff\xfe\n", "cannot be read"),
        ("a.csv", b"text\n", "holds no text to answer"),
        ("a.jsonl", b'{"text": "a"}\n{"other": 1}\n', "no text in row 2"),
    ],
)
def test_unfit_files_are_told(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_file(tmp_path / name, ("text",))


def test_words_are_for_taggers_and_must_be_there(outputs, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"words": ["a"]}\n{"words": []}\n')
    with pytest.raises(DataError, match="for a tagger; this is not one"):
        predict(outputs, "1_done", "--file", str(tmp_path / "a.jsonl"), "--words-column", "words")
    with pytest.raises(DataError, match=r"no list of words in row 2: \[\]"):
        read_words(tmp_path / "a.jsonl", "words")
    (tmp_path / "a.csv").write_text("words\na b\n")
    with pytest.raises(DataError, match=r"a\.csv has none; give a jsonl or parquet file"):
        read_words(tmp_path / "a.csv", "words")
    (tmp_path / "a.conll").write_text("a\tO\n\tO\n")
    with pytest.raises(DataError, match=r"a\.conll:2: .*no word"):
        read_words(tmp_path / "a.conll", "words")


def test_the_outputs_folder_may_be_named_as_a_run_names_it(outputs):
    with pytest.raises(RunNotFound, match=r"2_failed \(failed\)"):
        main(["last", "a text", f"run.outputs_dir={outputs}"])
