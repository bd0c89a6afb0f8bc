"""The short form of ``make numbers``: figures of random arrays equal those of other libraries."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import metrics as benchmark


def test_figures_equal_those_of_scikit_learn_scipy_seqeval_and_statsmodels():
    found = list(benchmark.compare(cases=20, seed=1))
    assert {library for _, _, library, *_ in found} == {"scikit-learn", "scikit-learn, SciPy", "seqeval", "statsmodels"}
    assert [(task, name, worst) for task, name, *_, worst in found if not worst <= benchmark.LIMIT] == []
    assert {(task, name) for task, name, *_ in found} >= {("classification", "roc_auc"), ("tagging", "f1")}
