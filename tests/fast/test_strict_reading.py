"""Two ways lead through a file, at pyarrow's speed and row by row; they agree, or the strict one's error is told."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertexp.data.formats import csv as csv_format
from bertexp.data.formats.read import read_file
from bertexp.data.formats.spec import Bad, Columns
from bertexp.errors import DataError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path: Path) -> list[tuple[str, str]]:
    table = read_file(path, Columns()).table
    return list(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("content", "line", "lost"),
    [
        ('a,x\n"b,x\nc,y\nhe said "d" to me,x\ne,y\n', 3, 3),  # pyarrow: one row of three
        ('"He said \\"a\\" twice",x\nb,y\n', 2, 1),
        ('"a" b,x\nc,y\n', 2, 1),
        ('a,x\n"b,y\nc,x', 3, 2),
        ('a,x\nb,"y\n', 3, 1),
        ('"a\nb"c,x\nd,y\n', 2, 2),
    ],
    ids=["merged rows", "backslashes", "text behind a quote", "no end", "no end of a label", "several lines"],
)
def test_a_quoted_field_that_does_not_end_with_its_quote_is_named_and_its_lines_are_counted(
    tmp_path, content, line, lost
):
    path = write(tmp_path / "x.csv", "text,label\n" + content)
    with pytest.raises(DataError, match=rf"x\.csv:{line}: the row.* is not valid csv: a quote is not closed, or one"):
        read_file(path, Columns())
    rows = read_file(path, Columns(), on_bad_row="skip")
    assert rows.skipped == {"broken quotes": lost}
    assert rows.table.num_rows == len(content.splitlines()) - lost


def test_quotes_in_their_place_and_quotes_in_the_midst_of_a_field_are_read(tmp_path):
    doubled, plain, broken = ('"a ""b"""', 'a "b"'), ('5" pipe', '5" pipe'), ('"a,\nb"', "a,\nb")
    for chosen in ([doubled, broken], [doubled, plain, broken]):
        content = '\ufeff"text","label"\n' + "\r\n".join(f'{cell},"x"' for cell, _ in chosen)
        assert rows_of(write(tmp_path / "x.csv", content)) == [(text, "x") for _, text in chosen]


def test_whatever_pyarrow_reads_of_a_csv_is_what_is_read_row_by_row(tmp_path):
    generator, read, refused = random.Random(17), 0, 0
    path, columns = tmp_path / "x.csv", Columns()
    for _ in range(600):
        rows = ["".join(generator.choices('aé",\\\r\n', (5, 1, 3, 1, 1, 0.3, 0.5), k=generator.randrange(1, 9)))]
        rows += [f"{cell},x" for cell in rows] + ['"a ""b""",x', "c,y"]
        write(path, "text,label\n" + "\n".join(generator.sample(rows, k=3)))
        strict = [values for _, values in csv_format.read_rows(path, columns)]
        try:
            table = csv_format.read_table(path, columns)
        except pa.ArrowInvalid:
            refused += 1
            continue
        read += 1
        assert table.to_pylist() == strict, path.read_text()
    assert min(read, refused) > 60


def test_a_line_of_jsonl_holds_one_object(tmp_path):
    good = '{"text": "a", "label": "x"}\n'
    for bad in ('{"text": "b", "label": "y"} {"text": "c", "label": "x"}', '{"text": "b",\n"label": "y"}'):
        path = write(tmp_path / "x.jsonl", good + bad + "\n" + good)
        with pytest.raises(DataError, match=r"x\.jsonl:2: the line is not valid JSON"):
            read_file(path, Columns())
        assert read_file(path, Columns(), on_bad_row="skip").table.num_rows == 2
    both = (
        '{"m": {"k":\n{"n": 1}}, "text": "b", "label": "y"}\n{"text": "b", "label": "y"} {"text": "c", "label": "x"}\n'
    )
    with pytest.raises(DataError, match=r"x\.jsonl:2: the line is not valid JSON"):  # as many objects as lines
        read_file(write(tmp_path / "x.jsonl", good + both), Columns())


def test_what_a_column_that_is_not_read_holds_is_no_mistake(tmp_path):
    content = b'{"text": "a", "label": "x", "more": "\xff"}\n{"text": "b", "label": %s, "more": 1}\n'
    for label in (b'"y"', b"1"):  # pyarrow's way, and row by row
        assert [text for text, _ in rows_of(write(tmp_path / "x.jsonl", content % label))] == ["a", "b"]


@pytest.mark.parametrize(("name", "row"), [("x.csv", b"a,\xff\n"), ("x.jsonl", b'{"text": "a", "label": "\xff"}\n')])
def test_a_label_that_is_not_utf8_is_named(tmp_path, name, row):
    header = b"text,label\n" if name == "x.csv" else b""
    with pytest.raises(DataError, match=rf"{name}:\d: the label is not UTF-8"):
        read_file(write(tmp_path / name, header + row), Columns())


def test_numbers_of_thousands_of_digits_are_no_crash(tmp_path):
    lines = [f'{{"text": "a", "label": {label}}}\n' for label in ("1", "9" * 5000)]
    with pytest.raises(DataError, match=r"x\.jsonl:2: the line is not valid JSON"):
        read_file(write(tmp_path / "x.jsonl", "".join(lines)), Columns())


def test_the_folders_above_a_parquet_file_give_it_no_columns(tmp_path):
    folder = tmp_path / "label=9"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), folder / "x.parquet")
    assert rows_of(folder / "x.parquet") == [("a", "x"), ("b", "y")]


def test_rows_that_are_bad_do_not_hide_the_lines_behind_them(tmp_path):
    path = write(tmp_path / "x.csv", 'text,label\n"a" b,x\nc,y\n"d,x\n')
    found = [(line, isinstance(values, Bad)) for line, values in csv_format.read_rows(path, Columns())]
    assert found == [(2, True), (3, False), (4, True)]
