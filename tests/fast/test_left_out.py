"""What lies in a folder is read, or it is said how much is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.locate import locate_dataset
from bertexp.data.formats.read import read_folder
from bertexp.data.table import TextDataset
from bertexp.errors import DataError


def write(folder: Path, *names: str) -> None:
    """Files that hold their names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def load(path: Path, **settings: object) -> TextDataset:
    config = DatasetConfig(path=str(path), val_fraction=0, test_fraction=0, **{"name": "files", **settings})
    return locate_dataset(config, str(path / "cache")).load()


def test_texts_are_read_whatever_the_case_of_their_names_and_at_any_depth(tmp_path):
    write(tmp_path, "eggs/1.TXT", "eggs/2.Txt", "ham/2024/05/x.txt", "ham/1.txt", "spam/2024/x.txt")
    dataset = load(tmp_path)
    assert dataset.label_names == ("eggs", "ham", "spam")
    assert dataset.notes == ()
    assert dataset.splits["train"]["text"].to_pylist() == [
        *("eggs/1.TXT", "eggs/2.Txt", "ham/1.txt", "ham/2024/05/x.txt", "spam/2024/x.txt")
    ]


@pytest.mark.parametrize("names", [("a/x.TXT", "b/x.TXT"), ("a/1/x.txt", "b/2/3/x.txt")])
def test_a_folder_in_which_all_texts_are_so_is_found(tmp_path, names):
    write(tmp_path / "mine", *names)
    assert load(tmp_path / "mine").label_names == ("a", "b")
    write(tmp_path / "split/train", *names)
    assert load(tmp_path / "split").label_names == ("a", "b")


def test_texts_far_below_do_not_hide_a_data_file(tmp_path):
    write(tmp_path, "venv/lib/package/LICENSE.txt")
    (tmp_path / "Mine.CSV").write_text("text,label\nx,a\ny,b\n")
    assert load(tmp_path).splits["train"]["text"].to_pylist() == ["x", "y"]


def test_what_is_not_read_is_said_with_counts(tmp_path):
    write(
        tmp_path, "a/1.txt", "a/notes.md", "a/2/more.MD", "a/raw", "b/1.txt", "b/.ipynb_checkpoints/1.txt", "c/1.text"
    )
    write(tmp_path, "read me.txt", ".DS_Store")
    (tmp_path / "b/far").symlink_to(tmp_path / "a")
    dataset = load(tmp_path)
    assert dataset.splits["train"]["text"].to_pylist() == ["a/1.txt", "b/1.txt"]
    empty, others = dataset.notes
    assert empty == f"{tmp_path}: no class is made of c, where no file ends in .txt"
    counts = "2 .md, 1 .text, 1 .txt, 2 hidden, 1 links to folders, 1 without an ending"
    assert others.startswith(f"{tmp_path}: 8 files are not read ({counts})")


def test_data_files_of_other_names_are_said(tmp_path):
    for name in ("train.csv", "Test.csv", "more.csv", "old.tsv"):
        (tmp_path / name).write_text("text,label\nx,a\ny,b\n")
    dataset = load(tmp_path)
    assert dataset.splits.keys() == {"train", "test"}
    assert dataset.notes == (f"{tmp_path}: 2 data files are not read (more.csv, old.tsv)",)
    assert load(tmp_path / "train.csv").notes == ()


def test_an_empty_class_folder_of_imdb_is_an_error(tmp_path):
    write(tmp_path, "train/neg/1.txt", "train/pos/1.md", "test/neg/1.txt", "test/pos/1.txt", "train/unsup/1.txt")
    with pytest.raises(DataError, match=r"train has no text pos/\*\.txt, and so nothing of that class"):
        load(tmp_path, name="imdb")
    write(tmp_path, "train/pos/1.TXT")
    assert load(tmp_path, name="imdb").splits["train"]["label"].to_pylist() == [0, 1]


def test_a_folder_without_texts_is_an_error(tmp_path):
    write(tmp_path, "a/1.md", "b/1.md")
    with pytest.raises(DataError, match="holds no usable row"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match=r"holds no data file and none of .*train/<class>/\*\.txt"):
        load(tmp_path)
