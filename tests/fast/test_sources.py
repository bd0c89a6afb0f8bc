"""Readers: what they take, and how they name the row that is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertexp.data.classes import sort_names
from bertexp.data.formats.read import read_file, read_folder
from bertexp.data.formats.spec import Columns
from bertexp.data.labels import ClassLabels, encode_labels, make_labels
from bertexp.errors import DataError

NAMES = ("negative", "positive")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(path: Path, columns: Columns = Columns(), **options: object) -> list[tuple]:  # noqa: B008
    table = read_file(path, columns, **options).table
    return list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


def test_csv_with_byte_order_mark_quotes_line_breaks_and_more_columns(tmp_path):
    content = '\ufeffid,label,text\r\n7,1,"He said ""no"",\nand left"\r\n\r\n8,0,NA\r\n'
    assert texts(write(tmp_path / "x.csv", content)) == [('He said "no",\nand left', "1"), ("NA", "0")]


def test_tsv_takes_quotes_as_plain_characters(tmp_path):
    content = '\ufefftext\tlabel\n" The pie business\t1\nIt \'s "fine\t0\n'
    assert texts(write(tmp_path / "x.tsv", content)) == [('" The pie business', "1"), ("It 's \"fine", "0")]


def test_a_file_without_header_and_one_without_labels(tmp_path):
    cola = Columns("sentence", None, "label", header=("source", "label", "star", "sentence"))
    path = write(tmp_path / "train.tsv", "gj04\t1\t\tThe car honked.\ngj04\t0\t*\tCar the honked.\n")
    assert texts(path, cola) == [("The car honked.", "1"), ("Car the honked.", "0")]
    table = read_file(write(tmp_path / "t.tsv", "index\tsentence\n0\tfine .\n"), Columns("sentence", label=None)).table
    assert encode_labels(table, ClassLabels(NAMES)).to_pydict() == {"text": ["fine ."], "label": [-1]}


@pytest.mark.parametrize("labels", [[1, 0], ["a", "b"], [True, False], [1.0, 0.0], [1, "one"]])
def test_jsonl_labels_of_any_type(tmp_path, labels):
    records = [{"text": "é 😀", "label": label, "meta": {"id": 3}} for label in labels]
    path = write(tmp_path / "x.jsonl", "\n".join(json.dumps(record) for record in records) + "\n\n")
    expected = {True: "true", False: "false"} if isinstance(labels[0], bool) else {1.0: "1", 0.0: "0"}
    assert texts(path) == [("é 😀", expected.get(label, str(label))) for label in labels]


def test_parquet_with_categories_and_pairs(tmp_path):
    table = pa.table({"a": ["x", "y"], "b": pa.array(["u", "v"]).dictionary_encode(), "kind": pa.array([1.0, 0.0])})
    pq.write_table(table, tmp_path / "x.parquet")
    assert texts(tmp_path / "x.parquet", Columns("a", "b", "kind")) == [("x", "u", "1"), ("y", "v", "0")]


def test_folders_of_texts(tmp_path):
    for name, text in {"pos/2.txt": "good", "pos/1.txt": "fine", "neg/1.txt": "bad"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, text)
    table = read_folder(tmp_path).table
    assert table.to_pydict() == {"text": ["bad", "fine", "good"], "label": ["neg", "pos", "pos"]}
    write(tmp_path / "pos/3.txt", b"\xff")
    with pytest.raises(DataError, match=r"pos/3\.txt: the text is not UTF-8"):
        read_folder(tmp_path)
    write(tmp_path / "pos/3.txt", " ")
    assert read_folder(tmp_path, on_bad_row="skip").skipped == {"no text": 1}


BAD_ROWS = {
    "csv": [
        (b"good,\n", "no label"),
        (b",1\n", "no text"),
        (b"good\n", "wrong column count"),
        (b"good,1,2\n", "wrong column count"),
        (b"go\xffod,1\n", "not UTF-8"),
        (b"good,neutral\n", "unknown class"),
        (b'1,"good\n', "broken quotes"),
    ],
    "tsv": [(b"good\t\n", "no label"), (b" \t1\n", "no text"), (b"a\tb\tc\n", "wrong column count")],
    "jsonl": [
        (b'{"text": "good"}\n', "no label"),
        (b'{"text": "good", "label": [1]}\n', "no label"),
        (b'{"text": null, "label": 1}\n', "no text"),
        (b'{"text": 5, "label": 1}\n', "no text"),
        (b'{"text": "good", "label": 1\n', "broken JSON"),
        (b'["good", 1]\n', "broken JSON"),
        (b'{"text": "go\xffod", "label": 1}\n', "not UTF-8"),
        (b'{"text": "go\\ud800od", "label": 1}\n', "not UTF-8"),
        (b'{"text": "good", "label": 2}\n', "unknown class"),
    ],
}
FIRST_ROWS = {
    "csv": b'text,label\n"two\nlines",1\n',
    "tsv": b"text\tlabel\none line\t1\n",
    "jsonl": b'{"text": "one", "label": 1}\n{"text": "two", "label": 0}\n',
}


@pytest.mark.parametrize(("kind", "row", "reason"), [(k, *bad) for k, bads in BAD_ROWS.items() for bad in bads])
def test_a_bad_row_is_named_with_file_and_line_or_counted(tmp_path, kind, row, reason):
    path = write(tmp_path / f"x.{kind}", FIRST_ROWS[kind] + row)
    line = FIRST_ROWS[kind].count(b"\n") + 1
    with pytest.raises(DataError, match=rf"x\.{kind}:{line}: .*dataset\.on_bad_row=skip") as caught:
        read_file(path, Columns(), labels=ClassLabels(NAMES))
    assert "\n" not in str(caught.value)
    rows = read_file(path, Columns(), labels=ClassLabels(NAMES), on_bad_row="skip")
    assert rows.skipped == {reason: 1}
    assert rows.table.num_rows == (2 if kind == "jsonl" else 1)


def test_a_bad_parquet_row_is_named(tmp_path):
    bad_text = pa.array([b"good", b"\xff", b"fine"]).view(pa.string())
    pq.write_table(pa.table({"text": bad_text, "label": ["0", "1", None]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet, row 2: the row is not UTF-8"):
        read_file(tmp_path / "x.parquet", Columns())
    rows = read_file(tmp_path / "x.parquet", Columns(), on_bad_row="skip")
    assert rows.skipped == {"not UTF-8": 1, "no label": 1}
    pq.write_table(pa.table({"text": [1, 2], "label": ["0", "1"]}), tmp_path / "y.parquet")
    with pytest.raises(DataError, match="holds int64 and no texts"):
        read_file(tmp_path / "y.parquet", Columns())


def test_a_missing_column_names_those_there_are(tmp_path):
    path = write(tmp_path / "x.csv", "text,category\na,b\n")
    with pytest.raises(DataError, match=r"'text', 'category'.*dataset\.label_column$"):
        read_file(path, Columns())
    with pytest.raises(DataError, match="did you mean 'category'"):
        read_file(path, Columns(label="catgory"))
    for name, content, word in [
        ("empty.csv", b"", "is empty"),
        ("latin1.csv", "tëxt,label\na,b\n".encode("latin-1"), "no text in UTF-8.*dataset.encoding"),
        ("x.xlsx", b"PK", "not a .csv"),
        ("x.parquet", b"PK", "not a parquet file"),
        ("x.jsonl", b"[]\n", "no JSON objects"),
        ("header.csv", b"text,label\n", "no usable row"),
        ("twice.csv", b"text,label,text\na,b,c\n", "more than one column 'text'"),
    ]:
        with pytest.raises(DataError, match=word):
            read_file(write(tmp_path / name, content), Columns())


def test_labels_are_sorted_as_numbers_and_known_by_name_or_index(tmp_path):
    assert sort_names(["10", "9", "-1"]) == ("-1", "9", "10")
    assert sort_names(["b", "10", "a"]) == ("10", "a", "b")
    table = pa.table({"text": ["a", "b", "c"], "label": ["positive", "0", "1"]})
    assert encode_labels(table, ClassLabels(NAMES))["label"].to_pylist() == [1, 0, 1]
    assert encode_labels(table.slice(1), ClassLabels(("1", "0")))["label"].to_pylist() == [1, 0]


@pytest.mark.real
@pytest.mark.skipif("BERTEXP_SHARED" not in os.environ, reason="BERTEXP_SHARED names no folder of real data")
@pytest.mark.parametrize(
    ("path", "columns", "count"),
    [
        ("glue/CoLA/train.tsv", Columns("sentence", None, "label", ("source", "label", "star", "sentence")), 8551),
        ("glue/CoLA/test.tsv", Columns("sentence", None, None), 1063),
        ("glue/MRPC/train.tsv", Columns("#1 String", "#2 String", "Quality"), 3668),
        ("glue/MRPC/dev.tsv", Columns("#1 String", "#2 String", "Quality"), 408),
        ("glue/SST-2/train.tsv", Columns("sentence"), 67349),
        ("banking77/train.csv", Columns("text", None, "category"), 10003),
    ],
)
def test_real_files_are_read_whole(path, columns, count):
    rows = read_file(Path(os.environ["BERTEXP_SHARED"], "data", path), columns)
    assert rows.table.num_rows == count
    assert rows.skipped == {}


def test_a_class_in_a_list_keeps_the_comma_in_its_name(tmp_path):
    lines = [{"text": "a", "label": ["Health, Wellness"]}, {"text": "b", "label": ["Food", "Health, Wellness"]}]
    for more in ([], [{"text": "c", "label": "Food"}]):  # pyarrow's way, and row by row
        content = "".join(json.dumps(line) + "\n" for line in lines + more)
        labels = make_labels("classes")
        table = read_file(write(tmp_path / "x.jsonl", content), Columns(), labels=labels).table
        labels, _ = labels.settle({"train": table["label"]})
        assert labels.names == ("Food", "Health, Wellness")
        assert encode_labels(table, labels)["label"].to_pylist() == [[1], [0, 1], [0]][: len(lines + more)]


@pytest.mark.parametrize("form", ["class", "number"])
def test_lists_of_labels_are_not_one_label(tmp_path, form):
    content = "".join(json.dumps({"text": "a", "label": label}) + "\n" for label in (["1", "2"], ["1"]))
    path = write(tmp_path / "x.jsonl", content)
    with pytest.raises(DataError, match=r"x\.jsonl:1: the label .*(multi_label|not a number)"):
        read_file(path, Columns(), labels=make_labels(form))


def test_numbers_are_read_as_python_reads_them_or_refused(tmp_path):
    labels = make_labels("number")
    rows = read_file(write(tmp_path / "x.csv", "text,label\na,+1.5\nb,1_000\nc, 2e1 \n"), Columns(), labels=labels)
    assert encode_labels(rows.table, labels)["label"].to_pylist() == [1.5, 1000.0, 20.0]
    for number in ("1e39", "nan", "inf", "ten"):
        with pytest.raises(DataError, match=f"'{number}' is not a number"):
            read_file(write(tmp_path / "x.csv", f"text,label\na,{number}\n"), Columns(), labels=labels)
    with pytest.raises(DataError, match="is not a number"):
        read_file(write(tmp_path / "x.jsonl", json.dumps({"text": "a", "label": 10**400})), Columns(), labels=labels)
