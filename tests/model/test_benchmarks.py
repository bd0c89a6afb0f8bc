"""Our side of the benchmarks still runs: a measurement that ends in an error is found here, not when it is needed."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bertexp.data.sets.reviews import VOCAB_FILE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))


@pytest.mark.parametrize("kind", ["train", "optimizer", "arithmetic"])
def test_our_side_of_each_work_is_timed(kind, tmp_path):
    import bertexp_peer
    from works import Rows

    rows = Rows(tmp_path / "rows", None, VOCAB_FILE).write("reviews", 128)
    request = {"rows": str(rows), "outputs": str(tmp_path), "layers": 2, "hidden": 128}
    found = bertexp_peer.WORKS[kind](request)
    assert found["seconds"] > 0
    if kind == "arithmetic":  # the seconds that a step's arithmetic would take at the largest product's speed
        assert found["rows"] > 0
    else:
        assert found["rows"] == {"train": 128, "optimizer": 1}[kind]


def test_a_step_of_the_gpu_benchmark_is_timed():
    import gpu

    seconds, operations = gpu.time_step(Namespace(layers=1, hidden=64, width=8, steps=2), jit=False, batch=2)
    assert seconds > 0
    assert operations > 3 * 2 * 2 * 64 * 64
