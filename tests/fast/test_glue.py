"""The tasks of GLUE in their official column layouts: rows, labels, splits, and the tests to submit predictions for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertexp.config.resolve import compose_config
from bertexp.config.schema import DatasetConfig
from bertexp.data.find import source as dataset_source
from bertexp.data.find.locate import locate_dataset
from bertexp.data.sets.glue.locate import GLUE
from bertexp.data.table import TextDataset, is_labelled
from bertexp.errors import BertexpError, DataError

PARSES = "sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
MNLI = f"index promptID pairID genre {PARSES} sentence1 sentence2"
HEADERS = {  # of train, of dev, of test; CoLA's first two have none
    "cola": ("source label star sentence", "source label star sentence", "index sentence"),
    "sst2": ("sentence label", "sentence label", "index sentence"),
    "mrpc": ("Quality,#1 ID,#2 ID,#1 String,#2 String",) * 2 + ("index,#1 ID,#2 ID,#1 String,#2 String",),
    "stsb": (
        "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        "index genre filename year old_index source1 source2 sentence1 sentence2",
    ),
    "qqp": ("id qid1 qid2 question1 question2 is_duplicate",) * 2 + ("id question1 question2",),
    "mnli": (f"{MNLI} label1 gold_label", f"{MNLI} label1 label2 label3 label4 label5 gold_label", MNLI),
    "qnli": ("index question sentence label",) * 2 + ("index question sentence",),
    "rte": ("index sentence1 sentence2 label",) * 2 + ("index sentence1 sentence2",),
    "wnli": ("index sentence1 sentence2 label",) * 2 + ("index sentence1 sentence2",),
}
SPELLED = {  # the labels as the files and the submissions have them
    "mnli": ("entailment", "neutral", "contradiction"),
    "qnli": ("entailment", "not_entailment"),
    "rte": ("entailment", "not_entailment"),
    "stsb": ("0.000", "1.000", "2.500"),
}
SUBMITTED = {"mnli": ["MNLI-m", "MNLI-mm"], "sst2": ["SST-2"], "cola": ["CoLA"], "stsb": ["STS-B"]}
LABELS = ("label", "gold_label", "is_duplicate", "Quality", "score")
ROWS = {"train": 40, "dev": 12, "test": 7}


def spelled(name: str) -> tuple[str, ...]:
    return SPELLED.get(name, ("0", "1"))


def write_task(folder: Path, name: str) -> Path:
    """Files of a task as its archive holds them; the fields say from which column, file and row they are."""
    task = GLUE[name]
    files = [*task.labelled.values(), *task.submissions().values()]
    (folder / task.folder).mkdir(parents=True)
    for file in files:
        part = file.split("_")[0].removesuffix(".tsv")
        header = HEADERS[name][["train", "dev", "test"].index(part)]
        columns = header.split("," if "," in header else " ")
        lines = [] if name == "cola" and part != "test" else ["\t".join(columns)]
        for row in range(ROWS[part]):
            label = spelled(name)[row % len(spelled(name))]
            # an open quote is a plain character in GLUE's files
            fields = [label if column in LABELS else f'"{column} of {file} {row}' for column in columns]
            lines.append("\t".join(fields))
        (folder / task.folder / file).write_text("\ufeff" * (name == "mrpc") + "\n".join(lines) + "\n")
    return folder


def load(folder: Path, name: str, **settings: object) -> TextDataset:
    config = DatasetConfig(name=name, path=str(folder), **settings)
    return locate_dataset(config, str(folder / "cache")).load()


@pytest.mark.parametrize("name", HEADERS)
def test_every_task_is_read_from_its_official_columns(name, tmp_path):
    task = GLUE[name]
    dataset = load(write_task(tmp_path, name), name, val_fraction=0.1)
    tests = {split: ROWS["dev"] for split in task.labelled if split != "train"}
    assert {split: table.num_rows for split, table in dataset.splits.items()} == {"train": 36, "val": 4} | tests
    for split in tests:
        first = dataset.splits[split].slice(1, 1).to_pylist()[0]
        names = [column for column in (task.columns.text, task.columns.text_pair) if column]
        assert [first["text"], *([first["text_pair"]] if dataset.has_pair else [])] == [
            f'"{column} of {task.labelled[split]} 1' for column in names
        ]
        assert first["label"] == 1
    assert dataset.label_names == (() if name == "stsb" else SPELLED.get(name, dataset.label_names))
    assert dataset.task == ("regression" if name == "stsb" else "classification")
    whole = load(tmp_path, name, val_fraction=0.0)
    assert whole.tests_on_validation
    assert whole.splits["train"].num_rows == ROWS["train"]


@pytest.mark.parametrize("name", HEADERS)
def test_the_rows_to_submit_are_read_in_their_order_whatever_they_hold(name, tmp_path):
    task = GLUE[name]
    write_task(tmp_path, name)
    file = next(iter(task.submissions().values()))
    path = tmp_path / task.folder / file
    path.write_text(
        path.read_text().replace(f'"{task.columns.text} of {file} 3', "")
    )  # QQP has rows without a question
    config = DatasetConfig(name=name, path=str(tmp_path), submission=True)
    source = locate_dataset(config, str(tmp_path))
    unlabelled = source.load_unlabelled()
    assert list(unlabelled.splits) == SUBMITTED.get(name, [name.upper()])
    for split, table in unlabelled.splits.items():
        assert table["text"].to_pylist() == [
            "" if split == next(iter(unlabelled.splits)) and row == 3
            else f'"{task.columns.text} of {task.submissions()[split]} {row}'
            for row in range(ROWS["test"])
        ]  # fmt: skip
        assert not is_labelled(table)
    if name == "stsb":
        assert task.spell([-0.2, 2.50049, 7.0]) == ["0.000", "2.500", "5.000"]
    else:
        assert task.spell([1, 0]) == [spelled(name)[1], spelled(name)[0]]


def test_what_a_submission_needs_is_said_before_anything_is_read(tmp_path):
    write_task(tmp_path, "rte")
    (tmp_path / "RTE/test.tsv").unlink()
    assert load(tmp_path, "rte").splits["test"].num_rows == ROWS["dev"]
    with pytest.raises(DataError, match=r"no test\.tsv.*dataset\.submission=false"):
        locate_dataset(DatasetConfig(name="rte", path=str(tmp_path), submission=True), str(tmp_path))
    with pytest.raises(DataError, match=r"makes a file for GLUE.*dataset=imdb"):
        locate_dataset(DatasetConfig(name="imdb", submission=True), str(tmp_path))


def test_microsofts_test_of_mrpc_is_what_glue_wants_predicted(tmp_path):
    header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    for split, count in (("train", 40), ("test", 9)):
        rows = [f"{row % 2}\t1\t2\tA {row}\tB {row}\n" for row in range(count)]
        (tmp_path / f"msr_paraphrase_{split}.txt").write_text(header + "".join(rows))
    source = locate_dataset(DatasetConfig(name="mrpc", path=str(tmp_path), submission=True), str(tmp_path))
    assert source.load().splits["test"].num_rows == 9
    assert source.load_unlabelled().splits["MRPC"].slice(2, 1).to_pylist() == [
        {"text": "A 2", "text_pair": "B 2", "label": -1}
    ]


def test_a_downloaded_mrpc_is_divided_as_glue_divides_it(tmp_path, monkeypatch):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    files = {
        f"msr_paraphrase_{split}.txt": header + "".join(f"{row % 2}\t{row}\t7\tA {row}\tB\r\n" for row in range(count))
        for split, count in (("train", 40), ("test", 9))
    }
    files["mrpc_dev_ids.tsv"] = "11\t7\n3\t7\n20\t7\n5\t6\n"

    def fake_fetch(url, destination, *checks):
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(files[url.rsplit("/")[-1]].encode())

    monkeypatch.setattr(dataset_source, "fetch", fake_fetch)
    source = locate_dataset(DatasetConfig(name="mrpc", val_fraction=0.0, submission=True), str(tmp_path))
    dataset = source.load()
    assert dataset.splits["test"]["text"].to_pylist() == ["A 3", "A 11", "A 20"]
    assert dataset.splits["train"].num_rows == 37
    assert source.load_unlabelled().splits["MRPC"].num_rows == 9
    assert locate_dataset(DatasetConfig(name="mrpc"), str(tmp_path)).urls == ()


def test_a_limit_holds_for_each_of_mnlis_two_tests(tmp_path):
    dataset = load(write_task(tmp_path, "mnli"), "mnli", limit_test=6)
    assert [dataset.splits[split].num_rows for split in ("test", "test_mismatched")] == [6, 6]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("cola", "CoLA.zip"),
        ("sst2", "SST-2.zip"),
        ("qqp", "QQP-clean.zip"),
        ("stsb", "STS-B.zip"),
        ("mnli", "MNLI.zip"),
        ("qnli", "QNLIv2.zip"),
        ("rte", "RTE.zip"),
        ("wnli", "WNLI.zip"),
    ],
)
def test_archives_have_their_official_addresses(name, address, tmp_path):
    source = locate_dataset(DatasetConfig(name=name), str(tmp_path))
    assert source.urls == (f"https://dl.fbaipublicfiles.com/glue/data/{address}",)


@pytest.mark.parametrize(
    ("name", "metric"), [("cola", "mcc"), ("mrpc", "f1"), ("qqp", "f1"), ("mnli", "accuracy"), ("wnli", "accuracy")]
)
def test_a_dataset_brings_its_main_metric_and_the_user_has_the_last_word(name, metric, tmp_path):
    def main_metric(*words: str) -> str:
        return compose_config([f"dataset={name}", *words])[0].task.main_metric

    assert main_metric() == metric
    assert main_metric("task.main_metric=roc_auc") == "roc_auc"
    assert main_metric("task=classification") == metric
    recipe, _ = compose_config(["experiment=mrpc_model_garden"])  # its source reports accuracy
    assert recipe.task.main_metric == "accuracy"


def test_stsb_brings_its_task_and_the_user_has_the_last_word():
    def task(*words: str) -> tuple[str, str]:
        config = compose_config(words)[0].task
        return config.name, config.main_metric

    assert task("dataset=stsb") == ("regression", "pearson")
    assert task("dataset=stsb", "task.main_metric=spearman") == ("regression", "spearman")
    assert task("experiment=sst2_minilm", "dataset=stsb") == ("regression", "pearson")
    assert task("experiment=stsb_minilm") == ("regression", "pearson")
    assert task("experiment=stsb_minilm", "dataset=cola") == ("classification", "mcc")
    assert task("dataset=stsb", "task=classification") == ("classification", "accuracy")  # asked for, and so refused:
    with pytest.raises(DataError, match="dataset=stsb has labels for task=regression, not for task=classification"):
        locate_dataset(DatasetConfig(name="stsb"), "nowhere", "classification")


def test_a_file_that_is_not_whole_is_named(tmp_path):
    write_task(tmp_path, "rte")
    path = tmp_path / "RTE/test.tsv"
    path.write_text(path.read_text() + "one column\n")
    with pytest.raises(BertexpError, match=r"RTE/test\.tsv cannot be read as tsv"):
        locate_dataset(DatasetConfig(name="rte", path=str(tmp_path), submission=True), str(tmp_path)).load_unlabelled()
