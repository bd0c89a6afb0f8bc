"""Datasets: found without reading, read into one form, split by class and seed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bertexp.config.schema import DatasetConfig
from bertexp.data.find import source as dataset_source
from bertexp.data.find.locate import locate_dataset
from bertexp.data.sets.imdb import locate as imdb
from bertexp.data.table import TextDataset
from bertexp.errors import DataError

real = pytest.mark.skipif("BERTEXP_SHARED" not in os.environ, reason="BERTEXP_SHARED names no folder of real data")


def load(tmp_path: Path, **settings: object) -> TextDataset:
    return locate_dataset(DatasetConfig(**settings), str(tmp_path / "cache")).load()


def rows_of(dataset: TextDataset) -> dict[str, int]:
    return {split: table.num_rows for split, table in dataset.splits.items()}


def write_csv(path: Path, labels: list[str], prefix: str = "text") -> Path:
    path.write_text("text,label\n" + "".join(f"{prefix} {i},{label}\n" for i, label in enumerate(labels)))
    return path


@pytest.fixture
def reviews_archive(tmp_path) -> Path:
    path = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for split, count in (("test", 6), ("train", 10)):
            for folder in ("neg", "pos", "unsup"):
                for i in range(count):
                    info = tarfile.TarInfo(f"aclImdb/{split}/{folder}/{i}_1.txt")
                    content = f"{split} {folder} é {i}<br />".encode()
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return path


def write_glue(folder: Path, header: str, row: str, count: int = 40) -> Path:
    folder.mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv"):
        rows = [row.format(number=i, label=i % 2) for i in range(count if name == "train.tsv" else 10)]
        (folder / name).write_text(header + "\n".join(rows))
    return folder


# splits


def test_a_class_of_one_row_cannot_be_split_by_class(tmp_path):
    path = write_csv(tmp_path / "x.csv", ["a"] * 9 + ["b"] * 9 + ["rare"])
    with pytest.raises(DataError, match=r"class 'rare' has a single row.*dataset\.stratify=false"):
        load(tmp_path, name="files", path=str(path))
    assert sum(rows_of(load(tmp_path, name="files", path=str(path), stratify=False)).values()) == 19
    assert rows_of(load(tmp_path, name="files", path=str(path), val_fraction=0.0, test_fraction=0.0)) == {"train": 19}
    with pytest.raises(DataError, match="only the class 'a'"):
        load(tmp_path, name="files", path=str(write_csv(tmp_path / "y.csv", ["a"] * 20)))
    with pytest.raises(DataError, match=r"0\.01 of 20 rows is no row.*dataset\.val_fraction"):
        load(tmp_path, name="files", path=str(write_csv(tmp_path / "z.csv", ["a", "b"] * 10)), val_fraction=0.01)


def test_limits_draw_by_class_after_splitting(tmp_path):
    path = write_csv(tmp_path / "x.csv", ["a"] * 80 + ["b"] * 20)
    whole = load(tmp_path, name="files", path=str(path))
    limited = load(tmp_path, name="files", path=str(path), limit_train=10, limit_val=5, limit_test=1000)
    assert rows_of(limited) == {"train": 10, "val": 5, "test": 20}
    assert np.bincount(limited.splits["train"]["label"]).tolist() == [8, 2]
    assert set(limited.splits["val"]["text"].to_pylist()) < set(whole.splits["val"]["text"].to_pylist())
    assert limited.fingerprint != whole.fingerprint


# imdb


def test_imdb_reads_archive_and_folder_alike_and_the_archive_only_once(tmp_path, reviews_archive, monkeypatch):
    dataset = load(tmp_path, name="imdb", path=str(reviews_archive))
    assert rows_of(dataset) == {"train": 16, "val": 4, "test": 12}
    assert dataset.label_names == ("negative", "positive")
    assert np.bincount(dataset.splits["val"]["label"]).tolist() == [2, 2]
    assert dataset.splits["test"].slice(0, 1).to_pylist() == [{"text": "test neg é 0<br />", "label": 0}]
    with tarfile.open(reviews_archive) as tar:
        tar.extractall(tmp_path)
    for folder in (tmp_path, tmp_path / "aclImdb"):
        assert load(tmp_path, name="imdb", path=str(folder)).fingerprint == dataset.fingerprint
    monkeypatch.setattr(tarfile.TarFile, "__iter__", lambda self: pytest.fail("read again"))
    assert load(tmp_path, name="imdb", path=str(reviews_archive)).fingerprint == dataset.fingerprint


def test_imdb_says_what_is_wrong_with_a_path(tmp_path, reviews_archive):
    (tmp_path / "page.tar.gz").write_text("<html>")
    (tmp_path / "aclImdb/train/pos").mkdir(parents=True)
    for name, word in (("page.tar.gz", "no tar archive"), ("aclImdb", "no folder train/neg"), ("nothing", "not exist")):
        with pytest.raises(DataError, match=word):
            locate_dataset(DatasetConfig(name="imdb", path=str(tmp_path / name)), str(tmp_path))
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(reviews_archive.read_bytes()[:600])
    with pytest.raises(DataError, match="not a whole tar archive"):
        load(tmp_path, name="imdb", path=str(cut))


def test_what_is_to_download_is_known_and_then_cached(tmp_path, monkeypatch, reviews_archive):
    source = locate_dataset(DatasetConfig(name="imdb"), str(tmp_path))
    assert source.urls == ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",)
    fetched = []

    def fake_fetch(url, destination, *checks):
        fetched.append((url, *checks))
        destination.parent.mkdir(parents=True)
        destination.write_bytes(reviews_archive.read_bytes())

    monkeypatch.setattr(dataset_source, "fetch", fake_fetch)
    mirror = DatasetConfig(name="imdb", url="https://mirror.example/a.tar.gz")
    assert rows_of(locate_dataset(mirror, str(tmp_path)).load())["test"] == 12
    assert fetched == [("https://mirror.example/a.tar.gz", imdb._SHA256, 84_125_825)]
    assert locate_dataset(DatasetConfig(name="imdb"), str(tmp_path)).urls == ()


# glue


def test_glue_holds_validation_out_of_train_and_tests_on_dev(tmp_path):
    write_glue(tmp_path / "glue/SST-2", "sentence\tlabel\n", '"it {number}\t{label}')
    dataset = load(tmp_path, name="sst2", path=str(tmp_path / "glue"), val_fraction=0.1)
    assert rows_of(dataset) == {"train": 36, "val": 4, "test": 10}
    assert dataset.splits["test"].slice(1, 1).to_pylist() == [{"text": '"it 1', "label": 1}]
    whole = load(tmp_path, name="sst2", path=str(tmp_path / "glue/SST-2"), val_fraction=0.0)
    assert rows_of(whole) == {"train": 40, "val": 10, "test": 10}
    assert "validation and test are both the official dev set" in whole.source


def test_cola_has_no_header_and_mrpc_has_pairs(tmp_path):
    write_glue(tmp_path / "CoLA", "", "gj04\t{label}\t\tSentence {number}.")
    write_glue(tmp_path / "MRPC", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n", "{label}\t1\t2\tA {number}\tB\n")
    cola = load(tmp_path, name="cola", path=str(tmp_path / "CoLA"))
    assert cola.splits["test"].slice(0, 1).to_pylist() == [{"text": "Sentence 0.", "label": 0}]
    mrpc = load(tmp_path, name="mrpc", path=str(tmp_path))
    assert mrpc.has_pair
    assert mrpc.label_names == ("not_equivalent", "equivalent")
    assert mrpc.splits["test"].slice(1, 1).to_pylist() == [{"text": "A 1", "text_pair": "B", "label": 1}]
    (tmp_path / "MRPC/train.tsv").rename(tmp_path / "MRPC/msr_paraphrase_train.txt")
    (tmp_path / "MRPC/dev.tsv").rename(tmp_path / "MRPC/msr_paraphrase_test.txt")
    assert load(tmp_path, name="mrpc", path=str(tmp_path)).splits["test"].num_rows == 10
    with pytest.raises(DataError, match=r"train\.tsv and dev\.tsv, nor a folder SST-2"):
        locate_dataset(DatasetConfig(name="sst2", path=str(tmp_path)), str(tmp_path))


def test_glue_archives_are_fetched_and_unpacked_into_the_cache(tmp_path, monkeypatch):
    folder = write_glue(tmp_path / "SST-2", "sentence\tlabel\n", "it {number}\t{label}")
    with zipfile.ZipFile(tmp_path / "SST-2.zip", "w") as file:
        for name in ("train.tsv", "dev.tsv"):
            file.write(folder / name, f"SST-2/{name}")
    assert rows_of(load(tmp_path, name="sst2", path=str(tmp_path / "SST-2.zip")))["test"] == 10

    def fake_fetch(url, destination, *checks):
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes((tmp_path / "SST-2.zip").read_bytes())

    monkeypatch.setattr(dataset_source, "fetch", fake_fetch)
    source = locate_dataset(DatasetConfig(name="sst2"), str(tmp_path / "cache"))
    assert source.urls == ("https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",)
    assert rows_of(source.load())["test"] == 10
    assert locate_dataset(DatasetConfig(name="sst2"), str(tmp_path / "cache")).urls == ()
    assert [url.rsplit("/")[-1] for url in locate_dataset(DatasetConfig(name="mrpc"), str(tmp_path)).urls] == [
        "msr_paraphrase_train.txt",
        "msr_paraphrase_test.txt",
        "mrpc_dev_ids.tsv",
    ]


# banking77


def test_banking77_is_fetched_and_holds_validation_out_of_train(tmp_path, monkeypatch):
    for name, count in (("train", 60), ("test", 9)):
        rows = [f'"Where is it, {name} {i}?",intent_{i % 3}\n' for i in range(count)]
        (tmp_path / f"{name}.csv").write_text("text,category\n" + "".join(rows))

    def fake_fetch(url, destination, *checks):
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes((tmp_path / url.rsplit("/")[-1]).read_bytes())

    monkeypatch.setattr(dataset_source, "fetch", fake_fetch)
    source = locate_dataset(DatasetConfig(name="banking77", val_fraction=0.1), str(tmp_path / "cache"))
    base = "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data"
    assert source.urls == (f"{base}/train.csv", f"{base}/test.csv")
    dataset = source.load()
    assert rows_of(dataset) == {"train": 54, "test": 9, "val": 6}
    assert dataset.label_names == ("intent_0", "intent_1", "intent_2")
    assert dataset.splits["test"].slice(1, 1).to_pylist() == [{"text": "Where is it, test 1?", "label": 1}]
    assert locate_dataset(DatasetConfig(name="banking77"), str(tmp_path / "cache")).urls == ()
    assert load(tmp_path, name="banking77", path=str(tmp_path), val_fraction=0.1).fingerprint == dataset.fingerprint
    (tmp_path / "test.csv").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="has no column 'category'"):
        locate_dataset(DatasetConfig(name="banking77", path=str(tmp_path)), str(tmp_path))
    (tmp_path / "test.csv").unlink()
    with pytest.raises(DataError, match=r"has no test\.csv"):
        locate_dataset(DatasetConfig(name="banking77", path=str(tmp_path)), str(tmp_path))


# files


def test_split_files_are_found_by_their_names(tmp_path):
    write_csv(tmp_path / "train.csv", ["a", "b"] * 10)
    write_csv(tmp_path / "dev.csv", ["b", "a"])
    (tmp_path / "test.tsv").write_text("text\tother\nwhatever\t1\n")
    dataset = load(tmp_path, name="files", path=str(tmp_path))
    assert rows_of(dataset) == {"train": 20, "val": 2, "test": 1}
    assert dataset.splits["val"]["label"].to_pylist() == [1, 0]
    assert dataset.splits["test"]["label"].to_pylist() == [-1]
    assert "no labels in test" in dataset.source
    write_csv(tmp_path / "valid.csv", ["a"])
    with pytest.raises(DataError, match=r"dev\.csv.*dataset\.val_file|valid\.csv.*dataset\.val_file"):
        load(tmp_path, name="files", path=str(tmp_path))
    named = load(tmp_path, name="files", path=str(tmp_path), val_file="valid.csv", test_file=str(tmp_path / "dev.csv"))
    assert rows_of(named) == {"train": 20, "val": 1, "test": 2}
    write_csv(tmp_path / "valid.csv", ["c"])
    with pytest.raises(DataError, match=r"valid\.csv:2: the class 'c' is not one of a, b"):
        load(tmp_path, name="files", path=str(tmp_path), val_file="valid.csv")
    skipping = load(tmp_path, name="files", path=str(tmp_path), val_file="dev.csv", label_names=["b", "a"])
    assert skipping.splits["val"]["label"].to_pylist() == [0, 1]


def test_folders_of_texts_are_a_dataset(tmp_path):
    for split in ("train", "test"):
        for label in ("bad", "good"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(10):
                (tmp_path / split / label / f"{i}.txt").write_text(f"{label} {i}")
    assert rows_of(load(tmp_path, name="files", path=str(tmp_path))) == {"train": 16, "val": 4, "test": 20}
    dataset = load(tmp_path, name="files", path=str(tmp_path / "train"))
    assert rows_of(dataset) == {"train": 12, "val": 4, "test": 4}
    assert dataset.label_names == ("bad", "good")


def test_bad_rows_of_all_files_are_counted(tmp_path):
    write_csv(tmp_path / "train.csv", ["a", "b", ""] * 10)
    write_csv(tmp_path / "test.csv", ["a", "c"])
    dataset = load(tmp_path, name="files", path=str(tmp_path), on_bad_row="skip")
    assert dataset.skipped == {"no label": 10, "unknown class": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "imbd"}, "did you mean 'imdb'"),
        ({"name": "files"}, r"needs data: dataset\.path=<folder or file>"),
        ({"name": "files", "path": "{}/trian.csv"}, r"does not exist; did you mean '.*/train\.csv'"),
        ({"name": "files", "path": "{}", "val_file": "none.csv"}, r"dataset\.val_file=none\.csv does not exist"),
        ({"name": "files", "path": "{}", "label_column": "labels"}, "did you mean 'label'"),
        ({"name": "files", "path": "{}", "text_pair_column": "text"}, "different columns"),
        ({"name": "files", "path": "{}/empty"}, r"no data file.*dataset\.train_file"),
        ({"name": "files", "path": "{}", "url": "https://example.org"}, r"does not use dataset\.url"),
        ({"name": "reviews", "path": "{}"}, r"does not use dataset\.path; .*dataset=files"),
        ({"name": "imdb", "label_column": "sentiment"}, r"does not use dataset\.label_column"),
        ({"name": "mrpc", "path": "{}"}, "holds no train.tsv and dev.tsv"),
    ],
)
def test_mistakes_are_found_before_anything_is_read(tmp_path, settings, message):
    write_csv(tmp_path / "train.csv", ["a", "b"])
    (tmp_path / "empty").mkdir()
    settings = {key: value.format(tmp_path) for key, value in settings.items()}
    with pytest.raises(DataError, match=message):
        locate_dataset(DatasetConfig(**settings), str(tmp_path))


def test_locating_imports_no_pyarrow_and_no_numpy():
    code = (
        "import sys; from bertexp.config.schema import DatasetConfig; from bertexp.data.find.locate import locate_dataset\n"
        "locate_dataset(DatasetConfig(name='imdb'), 'nowhere')\n"
        "print([name for name in ('numpy', 'pyarrow', 'tensorflow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# real data


@real
@pytest.mark.real
def test_the_real_imdb_archive(tmp_path):
    path = Path(os.environ["BERTEXP_SHARED"], "data/imdb/aclImdb_v1.tar.gz")
    dataset = load(tmp_path, name="imdb", path=str(path))
    assert rows_of(dataset) == {"train": 20_000, "val": 5_000, "test": 25_000}
    assert [np.bincount(table["label"]).tolist() for table in dataset.splits.values()] == [
        [10_000, 10_000],
        [2_500, 2_500],
        [12_500, 12_500],
    ]
    start = time.monotonic()
    assert load(tmp_path, name="imdb", path=str(path)).fingerprint == dataset.fingerprint
    assert time.monotonic() - start < 1.5


@real
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "counts", "unlabelled"),
    [
        ("mrpc", [3668, 408, 408], 1725),
        ("sst2", [67349, 872, 872], 1821),
        ("cola", [8551, 1043, 1043], 1063),
        ("stsb", [5749, 1500, 1500], 1379),
    ],
)
def test_real_glue(tmp_path, name, counts, unlabelled):
    path = Path(os.environ["BERTEXP_SHARED"], "data/glue")
    config = DatasetConfig(name=name, path=str(path), val_fraction=0.0, submission=True)
    source = locate_dataset(config, str(tmp_path), "regression" if name == "stsb" else "classification")
    assert list(rows_of(source.load()).values()) == counts
    assert list(rows_of(source.load_unlabelled()).values()) == [unlabelled]


@real
@pytest.mark.real
def test_real_banking77(tmp_path):
    path = Path(os.environ["BERTEXP_SHARED"], "data/banking77")
    dataset = load(tmp_path, name="banking77", path=str(path), val_fraction=0.1)
    assert len(dataset.label_names) == 77
    assert rows_of(dataset) == {"train": 9003, "val": 1000, "test": 3080}
