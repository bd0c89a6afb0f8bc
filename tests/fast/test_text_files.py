"""Separators, headers, encodings and compressed files: set, found and said, or one sentence that names the setting."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.locate import locate_dataset
from bertexp.data.formats.conll import read_sentences
from bertexp.data.formats.read import read_file, read_folder
from bertexp.data.formats.spec import Columns
from bertexp.data.table import TextDataset
from bertexp.errors import ConfigError, DataError

ROWS = [("the café, in Zürich", "good"), ('a "quoted"\nline', "bad")]


def csv(separator: str = ",", header: bool = True) -> str:
    lines = [("text", "label"), *ROWS] if header else ROWS
    quoted = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in lines]
    return "\n".join(quoted) + "\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(path: Path, **settings: object) -> TextDataset:
    config = DatasetConfig(name="files", path=str(path), val_fraction=0, test_fraction=0, **settings)
    return locate_dataset(config, str(path.parent / "cache")).load()


def rows_of(dataset: TextDataset) -> list[tuple[str, str]]:
    rows = dataset.splits["train"].to_pylist()
    return [(row["text"], dataset.label_names[row["label"]]) for row in rows]


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_a_separator_that_the_header_shows_is_found_and_said(tmp_path, separator):
    path = write(tmp_path / "x.csv", csv(separator))
    dataset = load(path)
    assert rows_of(dataset) == ROWS
    assert f"{path}: cells are parted by {separator!r}, as its header shows" in dataset.notes
    given = load(path, separator=separator)
    assert rows_of(given) == ROWS
    assert not any("parted" in note for note in given.notes)


def test_a_separator_in_doubt_is_not_guessed(tmp_path):
    path = write(tmp_path / "x.csv", "text;la|bel\na;b\nc;d\n")
    with pytest.raises(DataError, match=r"has no column 'text'; .*or what parts the cells, dataset\.separator"):
        load(path)
    assert len(load(path, separator=";", label_column="la|bel").splits["train"]) == 2
    assert read_file(write(tmp_path / "y.tsv", "text\tlabel\na^b\tc\n"), Columns()).notes == ()
    assert read_file(write(tmp_path / "z.tsv", "text^label\na^c\n"), Columns(separator="^")).table.num_rows == 1


def test_a_missing_header_is_named_with_its_setting(tmp_path):
    path = write(tmp_path / "x.csv", "first text of all,good\nsecond,bad\n")
    with pytest.raises(DataError, match=r"'first text of all', 'good'.*dataset\.header=\[text,label\]"):
        load(path)
    assert rows_of(load(path, header=["text", "label"])) == [("first text of all", "good"), ("second", "bad")]
    with pytest.raises(DataError, match=r"x\.csv:1: the row has 2 columns instead of 3"):
        load(path, header=["text", "label", "more"])
    with pytest.raises(DataError, match="more than one column 'text'"):
        load(path, header=["text", "text"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_an_encoding_with_a_byte_order_mark_is_found_and_said(tmp_path, encoding, name):
    content = csv() if name == "x.csv" else '{"text": "é\u2028", "label": "a"}\n{"text": "ü", "label": "b"}\n'
    path = write(tmp_path / name, content.encode(encoding))
    dataset = load(path)
    assert rows_of(dataset) == (ROWS if name == "x.csv" else [("é\u2028", "a"), ("ü", "b")])
    said = f"{path} is read as {encoding.upper()}, by its byte-order mark"
    assert (said in dataset.notes) == (encoding != "utf-8-sig")


def test_another_encoding_is_one_sentence_that_names_the_setting(tmp_path):
    path = write(tmp_path / "x.csv", csv().encode("cp1252"))
    with pytest.raises(DataError, match=r"x\.csv:2: the text is not UTF-8 \(another encoding .*dataset\.encoding\)"):
        load(path)
    assert rows_of(load(path, encoding="cp1252")) == ROWS
    write(path, csv().encode("utf-16"))
    with pytest.raises(DataError, match=r"x\.csv is no text in utf-32.*dataset\.encoding"):
        load(path, encoding="utf-32")


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_packed_files_are_read(tmp_path, name, packed):
    content = csv() if name == "x.csv" else '{"text": "é", "label": "a"}\n{"text": "ü", "label": "b"}\n'
    plain = content.encode()
    whole = gzip.compress(plain) if packed == ".gz" else pa.compress(plain, codec="zstd", asbytes=True)
    path = write(tmp_path / f"{name}{packed}", whole)
    rows = [("é", "a"), ("ü", "b")] if name == "x.jsonl" else ROWS
    assert rows_of(load(path)) == rows
    (tmp_path / "mine").mkdir()
    path.rename(tmp_path / "mine" / f"train{path.name[1:]}")
    assert rows_of(load(tmp_path / "mine")) == rows
    with pytest.raises(DataError, match=rf"{name}\{packed} is not a whole \{packed} file"):
        load(write(path, whole[:-9]))


def test_texts_of_a_folder_have_an_encoding_too(tmp_path):
    for label, name in (("a", "utf-16"), ("b", "utf-8")):
        (tmp_path / label).mkdir()
        write(tmp_path / label / "1.txt", "é\r\n".encode(name))
    rows = read_folder(tmp_path)
    assert rows.table["text"].to_pylist() == ["é\r\n", "é\r\n"]
    assert rows.notes == (f"{tmp_path}: 1 texts are read as UTF-16, by their byte-order marks",)
    write(tmp_path / "a/1.txt", "é".encode("cp1252"))
    with pytest.raises(DataError, match=r"a/1\.txt: the text is not UTF-8 .*dataset\.encoding"):
        read_folder(tmp_path)
    write(tmp_path / "b/1.txt", "ü".encode("cp1252"))
    assert read_folder(tmp_path, encoding="cp1252").table["text"].to_pylist() == ["é", "ü"]


def test_words_in_utf16_are_read_and_that_is_said(tmp_path):
    path, notes = write(tmp_path / "x.conll", "é\tO\nü\tB-X\n".encode("utf-16")), []
    assert [sentence.words for _, sentence in read_sentences(path, DatasetConfig(), True, notes)] == [["é", "ü"]]
    assert notes == [f"{path} is read as UTF-16, by its byte-order mark"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"separator": ";;"}, r"dataset\.separator=';;' must be one ASCII character"),
        ({"separator": '"'}, r"dataset\.separator='\"' must be one ASCII character, and no quote"),
        ({"separator": "·"}, "must be one ASCII character"),
        ({"encoding": "utf-9"}, r"dataset\.encoding=utf-9 is no encoding that Python knows"),
        ({"encoding": "rot13"}, "is no encoding that Python knows"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DatasetConfig(**settings)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("x.jsonl", {"separator": ";"}, r"dataset\.separator and dataset\.header are of csv and tsv files; .*x\.jsonl"),
        ("x.parquet", {"encoding": "cp1252"}, r"dataset\.encoding is of files of text; leave it out with .*x\.parquet"),
        ("folder", {"header": ["text", "label"]}, r"are of csv and tsv files, and .* is a folder of texts"),
    ],
)
def test_settings_that_would_be_passed_over_are_refused(tmp_path, name, settings, message):
    if name == "folder":
        (tmp_path / "folder/a").mkdir(parents=True)
        write(tmp_path / "folder/a/1.txt", "x")
    else:
        write(tmp_path / name, '{"text": "a", "label": "b"}\n')
    with pytest.raises(DataError, match=message):
        load(tmp_path / name, **settings)
    with pytest.raises(DataError, match=r"dataset=sst2 does not use dataset\.\w+"):
        locate_dataset(DatasetConfig(name="sst2", **settings), str(tmp_path))
