"""Runs side by side: which settings differ, and whether a difference of results is more than chance."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertexp.commands.compare import main
from bertexp.errors import ConfigError, DataError, RunNotFound
from bertexp.reports.paired import compare_pairs, holm, mcnemar_exact, read_predictions
from bertexp.runs.comparison import Compared, different_parameters
from bertexp.runs.folder import RunFolder

Row = tuple[str, str, str]  # text, label, predicted


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)


def judged(right: Sequence[bool]) -> list[Row]:
    """Rows of two classes in turn, predicted rightly where told."""
    names = ("neg", "pos")
    return [(f"text {n}", names[n % 2], names[n % 2 if ok else 1 - n % 2]) for n, ok in enumerate(right)]


def write_run(folder: Path, rows: Sequence[Row] = (), classes: Sequence[str] = ("neg", "pos"), **info) -> Path:
    """A run folder with these predictions; without rows it was never tested."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"state": "completed", "parameters": {}} | info))
    if rows:
        columns = dict(zip(("text", "label", "predicted"), map(list, zip(*rows, strict=True)), strict=True))
        probabilities = {f"p_{name}": [0.5] * len(rows) for name in classes}
        table = pa.table({**columns, "probability": [0.5] * len(rows), **probabilities})
        pq.write_table(
            table.set_column(1, "label", pa.array(columns["label"], pa.string())), folder / "predictions.parquet"
        )
    return folder


def read_all(tmp_path: Path, *runs: Sequence[Row]) -> dict:
    folders = [write_run(tmp_path / f"run-{n}", rows) for n, rows in enumerate(runs)]
    return {folder.name: read_predictions(folder / "predictions.parquet") for folder in folders}


def compare(tmp_path: Path, capsys, *words: object) -> str:
    assert main([*map(str, words), "--outputs-dir", str(tmp_path)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (1, 7, 0.0703125),  # 2 (1 + 8) / 2^8, the example of Fagerland et al. 2013
        (10, 2, 158 / 4096),  # 2 (1 + 12 + 66) / 2^12
        (5, 5, 1.0),  # the middle of the binomial is not counted twice
        (0, 0, 1.0),
        (0, 2000, 2.0**-1999),  # 2^2000 is beyond a float
    ],
)
def test_mcnemar_is_the_exact_doubled_binomial_tail(only_first, only_second, p):
    assert mcnemar_exact(only_first, only_second) == mcnemar_exact(only_second, only_first) == p


def test_holm_multiplies_by_what_is_left_and_never_falls_below_a_smaller_one():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_rows_are_matched_by_content_and_duplicates_one_to_one(tmp_path):
    twice = [("same", "pos", "pos"), ("same", "pos", "neg")]
    first = [*judged([True] * 9 + [False]), *twice]
    second = [*judged([False] * 8 + [True, True]), *twice]
    pairs, _ = compare_pairs(read_all(tmp_path, first, [second[n] for n in (11, 3, 7, 0, 10, 1, 9, 2, 8, 4, 6, 5)]))
    (pair,) = pairs
    assert (pair.only_first, pair.only_second, pair.difference) == (8, 1, 7 / 12)
    assert pair.p == pair.p_corrected == 20 / 512
    assert pair.verdict == "real (p = 0.0391)"


def test_interval_of_a_difference_keeps_the_pairing(tmp_path):
    half = [n < 200 for n in range(400)]
    (pair,), _ = compare_pairs(read_all(tmp_path, judged(half), judged([*half[:398], True, True])))
    assert pair.difference == -0.005
    assert -0.02 < pair.low < -0.005 < 0 <= pair.high < 0.005  # unpaired it would reach from -0.07 to 0.07
    assert not pair.real
    assert pair.verdict == "not told apart (p = 0.5)"


def test_an_interval_and_its_verdict_say_the_same(tmp_path):
    right = [[n >= wrong for n in range(60)] for wrong in (0, 5, 9, 14)]
    pairs, _ = compare_pairs(read_all(tmp_path, *map(judged, [*right, right[0]])))
    assert {pair.real for pair in pairs} == {True, False}
    for pair in pairs:
        if pair.only_first or pair.only_second:
            assert (pair.low > 0 or pair.high < 0) == pair.real
        else:
            assert (pair.low, pair.high, pair.verdict) == (None, None, "not told apart (p = 1)")


def test_many_runs_meet_the_best_but_are_corrected_for_every_pair(tmp_path):
    runs = [judged([n >= wrong for n in range(40)]) for wrong in (9, 8, 7, 0, 6, 10, 11)]
    pairs, tests = compare_pairs(read_all(tmp_path, *runs))
    assert tests == 21
    assert [pair.second for pair in pairs] == [f"run-{n}" for n in (0, 1, 2, 4, 5, 6)]
    assert {pair.first for pair in pairs} == {"run-3"}
    assert pairs[-1].p_corrected == 21 * 2 / 2**11  # the smallest of all 21
    assert pairs[-1].real
    assert not pairs[0].real  # p = 0.0039 alone, the third smallest: times 19


def test_report_shows_what_differs_and_what_is_real(tmp_path, capsys):
    common = {"dataset.name": "sst2", "tracking.uri": "x", "trainer.max_epochs": None, "optimizer.learning_rate": 3e-05}
    folders = [
        write_run(
            tmp_path / "runs" / name,
            judged([n >= wrong for n in range(60)]),
            parameters=common | {"run.name": name, "export.enabled": wrong > 9} | changes,
            metrics={"test/loss": 0.4, "test/accuracy": 0.1, "val/f1": 0.7, "train/loss": 0.3},
        )
        for name, wrong, changes in (
            ("one", 20, {}),
            ("two", 4, {"optimizer.learning_rate": 1e-05, "model.path": f"/{'a' * 40}/1/{'b' * 40}"}),
            ("three", 5, {"model.path": f"/{'a' * 40}/2/{'b' * 40}"}),
        )
    ]
    out = compare(tmp_path, capsys, *folders)
    table = out.split("parameter ")[1].split("\n\n")[0].splitlines()
    assert table[1].split() == ["optimizer.learning_rate", "3e-05", "1e-05", "3e-05"]
    assert [line.split()[0] for line in table[1:]] == ["optimizer.learning_rate", "model.path"]
    assert "/1/" in table[2]  # not cut: the two paths would look the same
    assert "/2/" in table[2]
    assert re.search(r"test/accuracy +0\.6667 \[0\.5\d+, 0\.7\d+\] +0\.9333 \[0\.8\d+, \S+\] +0\.9167 ", out)
    assert re.search(r"test/loss +0\.4000 +0\.4000 +0\.4000\n", out)
    assert "train/loss" not in out
    assert re.search(r"A - B +-0\.2667 .* 0 : 16 rows +real \(p < 0\.0001\)", out)
    assert re.search(r"B - C +\+0\.0167 .* not told apart \(p = 1\)", out)
    assert "corrected for all 3 pairs" in out


def test_f1_is_of_the_second_class_or_the_mean_over_three_and_of_the_split_judged(tmp_path):
    rows = [("a", "x", "x"), ("b", "x", "y"), ("c", "y", "y"), ("d", "y", "y")]
    two = write_run(tmp_path / "2", rows, "xy", metrics={"val/accuracy": 0.75})
    three = write_run(tmp_path / "3", [*rows, ("e", "z", "y")], "xyz", metrics={"test/accuracy": 0.6})
    found = Compared("A", RunFolder(two)).metrics["val/f1"]  # no labelled test split: val was logged
    assert found.value == pytest.approx(4 / 5)
    assert found.low < found.value < found.high
    assert Compared("B", RunFolder(three)).metrics["test/f1"].value == pytest.approx((2 / 3 + 4 / 6 + 0) / 3)
    killed = write_run(tmp_path / "killed", rows, "xy", metrics={"val/accuracy": 0.9})  # after its test, before its end
    assert Compared("C", RunFolder(killed)).metrics["test/accuracy"].value == 0.75


def test_different_data_are_not_paired_but_told(tmp_path, capsys):
    rows = judged([True, False, True, True])
    other = [(text, "neg", predicted) for text, _, predicted in rows]  # same texts, other labels
    folders = [write_run(tmp_path / f"r{n}", found) for n, found in enumerate((rows, other, rows[::-1]))]
    out = compare(tmp_path, capsys, *folders)
    assert "no paired test between A, C (4 rows) | B (4 rows): their test rows differ" in out
    assert re.findall(r"^(\w+ - \w+) ", out, re.MULTILINE) == ["A - C"]
    assert "no two runs were tested on the same labelled rows" in compare(tmp_path, capsys, *folders[:2])


def test_sweep_stands_for_its_trials_with_seeds_and_untested_ones(tmp_path, capsys):
    sweep = tmp_path / "sweeps" / "rates"
    for n in range(4):
        seed = {"parameters": {"optimizer.learning_rate": n / 10}, "metrics": {"val/accuracy": 0.5 + n / 10}}
        write_run(sweep / f"trial-000{n}" / "seed-42", judged([True, False]) if n == 1 else (), **seed)
    write_run(sweep / "trial-0004", metrics={}, state="failed")
    (sweep / "trial-0005").mkdir()
    out = compare(tmp_path, capsys, "rates", sweep / "trial-0002" / "seed-42", "--output", tmp_path / "a.csv")
    assert re.search(r"^C  trial-0002/seed-42 +0\.2$", out, re.MULTILINE)
    assert re.search(r"^C  trial-0002/seed-42 +- +- +- +0\.7000$", out, re.MULTILINE)
    assert (
        "without predictions that are right or wrong row by row, hence no interval and no paired test: A, C, D, E"
        in out
    )
    assert "not completed: E (failed)" in out
    lines = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [line["val/accuracy"] for line in lines] == ["0.5", "0.6", "0.7", "0.8", ""]
    assert [bool(line["test/accuracy_low"]) for line in lines] == [False, True, False, False, False]


def test_json_holds_the_pairs_and_whole_values(tmp_path, capsys):
    folders = [
        write_run(tmp_path / name, judged([ok] * 8), parameters={"model.path": name * 50}, mlflow_run_id=name * 32)
        for name, ok in (("a", True), ("b", False))
    ]
    out = compare(tmp_path, capsys, *folders, "--output", tmp_path / "found.json")
    assert "a" * 50 not in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [run["parameters"] for run in found["runs"]] == [{"model.path": "a" * 50}, {"model.path": "b" * 50}]
    assert found["runs"][0]["metrics"]["test/accuracy"] == {
        "value": 1.0,
        "low": pytest.approx(0.025 ** (1 / 8)),  # of no error in eight rows
        "high": 1.0,
    }
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], pair["only_first"], pair["p"], pair["real"]) == ("A", "B", 8, 2 / 2**8, True)


def test_unlabelled_predictions_count_as_untested(tmp_path):
    folder = write_run(tmp_path / "a", [("a", None, "pos")], metrics={"val/accuracy": 0.9})
    run = Compared("A", RunFolder(folder))
    assert run.predictions is None
    assert {name: metric.low for name, metric in run.metrics.items()} == {"val/accuracy": None}


def test_mistakes_are_told_with_their_cure(tmp_path, capsys):
    one = write_run(tmp_path / "runs" / "one", judged([True]))
    two = write_run(tmp_path / "runs" / "two", judged([True]))
    (tmp_path / "sweeps" / "empty").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"needs two runs, and two last .*two is one"):
        compare(tmp_path, capsys, "two", "last", two)
    with pytest.raises(RunNotFound, match="sweeps/empty holds neither a run nor a trial of a sweep"):
        compare(tmp_path, capsys, "empty", "one")
    with pytest.raises(RunNotFound, match=r"no run is called 'nowhere'.*sweeps has no sweep of that name either"):
        compare(tmp_path, capsys, "nowhere", "one")
    with pytest.raises(ConfigError, match=r"must end in \.csv or \.json"):
        compare(tmp_path, capsys, "one", "two", "--output", "x.html")
    pq.write_table(pa.table({"text": ["a"], "predicted": ["pos"]}), two / "predictions.parquet")
    with pytest.raises(DataError, match=r"two/predictions\.parquet is not a table of predictions.*label"):
        compare(tmp_path, capsys, "one", "two")
    (one / "predictions.parquet").write_bytes(b"half")
    with pytest.raises(DataError, match="leave that run out"):
        compare(tmp_path, capsys, "one", "two")


def test_command_is_light():
    code = "import bertexp.commands.compare, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"tensorflow", "mlflow", "optuna", "pandas", "matplotlib", "sklearn", "pyarrow"} & set(loaded)


def test_a_setting_that_a_run_does_not_know_counts_as_its_default():
    parameters = [{"optimizer.epsilon": 1e-6, "left.since": 1}, {}, {"left.since": 1}]
    assert different_parameters(parameters) == {}
    parameters[1] = {"optimizer.epsilon": 1e-8}
    assert different_parameters(parameters) == {"optimizer.epsilon": [1e-6, 1e-8, 1e-6]}
