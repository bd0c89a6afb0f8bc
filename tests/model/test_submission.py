"""What `dataset.submission=true` writes: one answer for every row of GLUE's unlabelled tests, in GLUE's spelling."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bertexp.runs.runner import run

SMALL = [
    "model=tiny",
    "model.hidden_size=64",
    "trainer.batch_size=8",
    "export.enabled=false",
    "dataset.submission=true",
]


def write_tsv(path: Path, columns: str, rows: list[str]) -> None:
    path.write_text("\n".join([columns, *rows]).replace("|", "\t") + "\n")


def answers(run_folder: Path, name: str) -> list[str]:
    """The predictions of a file to submit; its header and its numbering are as GLUE wants them."""
    header, *lines = (run_folder / "glue" / f"{name}.tsv").read_text().splitlines()
    numbers, predicted = zip(*(line.split("\t") for line in lines), strict=True)
    assert header == "index\tprediction"
    assert list(numbers) == [str(number) for number in range(len(lines))]
    return list(predicted)


def test_mnli_is_judged_and_predicted_on_both_its_tests(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    labels = ("entailment", "neutral", "contradiction")
    train = [f"A film {i}.|{labels[i % 3]} {labels[i % 3]}.|{labels[i % 3]}" for i in range(60)]
    columns = "sentence1|sentence2|gold_label"
    write_tsv(tmp_path / "train.tsv", columns, train * 4)
    write_tsv(tmp_path / "dev_matched.tsv", columns, train[:30])
    write_tsv(tmp_path / "dev_mismatched.tsv", columns, train[30:51])
    sentences = {"matched": train[:17], "mismatched": ["|" + train[2].split("|")[1]] * 5}  # some without a premise
    for name, rows in sentences.items():
        unlabelled = [f"{i}|{'|'.join(row.split('|')[:2])}" for i, row in enumerate(rows)]
        write_tsv(tmp_path / f"test_{name}.tsv", "index|sentence1|sentence2", unlabelled)
    words = ["dataset=mnli", f"dataset.path={tmp_path}", "trainer.max_epochs=8", "tracking=none", *SMALL]
    result = run([*words, "optimizer.learning_rate=3e-3"])
    assert result.metrics["test/accuracy"] > 0.9  # so the classes' order is put to the test
    assert result.metrics["test_mismatched/accuracy"] > 0.9
    assert answers(result.folder, "MNLI-m") == [labels[i % 3] for i in range(17)]
    assert len(answers(result.folder, "MNLI-mm")) == 5
    out = capsys.readouterr().out
    assert re.search(r"also +test_mismatched/accuracy .*\(21 rows\)", out)
    assert "glue/MNLI-mm.tsv (5 rows)" in out


def test_stsb_is_predicted_in_numbers_and_the_tracker_keeps_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = "index|sentence1|sentence2"
    rows = [f"{i}|A dog {'runs' if i % 2 else 'sleeps'} {i}.|A dog runs." for i in range(40)]
    labelled = [f"{row}|{5 * (i % 2):.3f}" for i, row in enumerate(rows)]
    write_tsv(tmp_path / "train.tsv", f"{columns}|score", labelled)
    write_tsv(tmp_path / "dev.tsv", f"{columns}|score", labelled[:20])
    write_tsv(tmp_path / "test.tsv", columns, rows[:11])
    result = run(["dataset=stsb", f"dataset.path={tmp_path}", "trainer.max_steps=4", *SMALL])
    assert "test/spearman" in result.metrics
    predicted = answers(result.folder, "STS-B")
    assert len(predicted) == 11
    assert all(re.fullmatch(r"[0-5]\.\d{3}", value) for value in predicted)
    assert np.all(np.array(predicted, float) <= 5)
    kept = list(tmp_path.glob("outputs/mlartifacts/**/glue/STS-B.tsv"))
    assert [path.read_text() for path in kept] == [(result.folder / "glue" / "STS-B.tsv").read_text()]
