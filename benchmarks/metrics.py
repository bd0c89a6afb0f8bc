"""Do bertexp's figures equal those of libraries that others compute them with?

Usage: python benchmarks/metrics.py [--cases 300] [--seed 0]

Random arrays of every size, rare classes, ties and logits of up to 40 go through each task's metrics and through
scikit-learn, SciPy, seqeval and statsmodels. Writes benchmarks/results/metrics.md; the exit status is 1 if a figure
differs by more than ``LIMIT``. ``make numbers`` runs it, and ``intervals.py`` after it.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from report import describe_machine
from scipy import stats
from scipy.special import expit, log_softmax
from sklearn import metrics as sk

from bertexp.reports.intervals import share_interval
from bertexp.reports.paired import holm, mcnemar_exact
from bertexp.system import devices

HERE = Path(__file__).resolve().parent
LIMIT = 1e-6
SCHEME = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

Figures = dict[str, tuple[float, float]]  # ours, theirs


def classification(random: np.random.Generator) -> tuple[str, Figures]:
    """Against scikit-learn; macro scores over all classes, those without a row count as 0."""
    from bertexp.tasks.classification.task import Classification

    classes = int(random.choice([2, 2, 3, 20, 77]))
    head = str(random.choice(["sigmoid", "softmax"]))
    task, rows = Classification([str(index) for index in range(classes)], head), int(random.integers(1, 400))
    truth = random.integers(0, random.integers(1, classes + 1), rows).astype(np.int32)
    logits = (random.normal(size=(rows, task.units)) * random.choice([1, 8, 40])).astype(np.float32)
    ours = _measure(task, truth, logits, random)
    exact = logits.astype(np.float64)
    both = np.concatenate([0 * exact, exact], axis=1) if task.units == 1 else exact
    predicted, scores = both.argmax(axis=1), log_softmax(both, axis=1)
    average = {"average": "binary"} if classes == 2 else {"average": "macro", "labels": range(classes)}
    theirs = {
        "loss": -scores[np.arange(rows), truth].mean(),
        "accuracy": sk.accuracy_score(truth, predicted),
        "precision": sk.precision_score(truth, predicted, zero_division=0, **average),
        "recall": sk.recall_score(truth, predicted, zero_division=0, **average),
        "f1": sk.f1_score(truth, predicted, zero_division=0, **average),
        "mcc": sk.matthews_corrcoef(truth, predicted),
    }
    if len(np.unique(truth)) == classes:
        one = classes == 2
        each = [
            sk.roc_auc_score(truth == index, both[:, 1] - both[:, 0] if one else scores[:, index])
            for index in range(one, classes)
        ]
        theirs["roc_auc"] = np.mean(each)
    return "scikit-learn", _pairs(ours, theirs)


def multi_label(random: np.random.Generator) -> tuple[str, Figures]:
    """Against scikit-learn."""
    from bertexp.tasks.multi_label.task import MultiLabel

    classes, rows = int(random.choice([2, 6, 40])), int(random.integers(1, 300))
    threshold = float(random.choice([0.25, 0.5, 0.9]))
    task = MultiLabel([str(index) for index in range(classes)], threshold)
    truth = (random.random((rows, classes)) < random.random(classes)).astype(np.float32)
    logits = (random.normal(size=(rows, classes)) * random.choice([1, 8, 40])).astype(np.float32)
    given = expit(logits) >= threshold
    scores = {"zero_division": 0}
    theirs = {
        "f1": sk.f1_score(truth, given, average="micro", **scores),
        "f1_macro": sk.f1_score(truth, given, average="macro", **scores),
        "precision": sk.precision_score(truth, given, average="micro", **scores),
        "recall": sk.recall_score(truth, given, average="micro", **scores),
        "exact_match": sk.accuracy_score(truth, given),
    }
    both = (truth.sum(axis=0) > 0) & (truth.sum(axis=0) < rows)
    if both.any():
        theirs["roc_auc"] = sk.roc_auc_score(truth[:, both], logits[:, both], average="macro")
    return "scikit-learn", _pairs(_measure(task, truth, logits, random), theirs)


def regression(random: np.random.Generator) -> tuple[str, Figures]:
    """Against scikit-learn and SciPy."""
    from bertexp.tasks.regression.task import Regression

    rows, scale = int(random.integers(3, 300)), 10.0 ** random.integers(-3, 4)
    truth = (random.integers(0, 9, rows) * scale).astype(np.float32)
    truth[0] = truth[1] + scale  # numbers that are all the same have no correlation
    logits = (truth[:, None] + random.normal(size=(rows, 1)) * 3 * scale).astype(np.float32)
    ours, predicted = _measure(Regression(), truth, logits, random), logits[:, 0].astype(np.float64)
    truth = truth.astype(np.float64)
    theirs = {
        "loss": sk.mean_squared_error(truth, predicted),
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "mae": sk.mean_absolute_error(truth, predicted),
        "pearson": stats.pearsonr(truth, predicted)[0],
        "spearman": stats.spearmanr(truth, predicted)[0],
    }
    of_scale = {"loss": scale**2, "rmse": scale, "mae": scale}
    return "scikit-learn, SciPy", {
        name: (one / of_scale.get(name, 1), other / of_scale.get(name, 1))
        for name, (one, other) in _pairs(ours, theirs).items()
    }


def tagging(random: np.random.Generator) -> tuple[str, Figures]:
    """Against seqeval's strict mode."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    from bertexp.tasks.tagging.task import Tagging

    rows, words = int(random.integers(1, 40)), int(random.integers(1, 30))
    truth = random.integers(0, len(SCHEME), (rows, words)).astype(np.int32)
    logits = random.normal(size=(rows, words, len(SCHEME))).astype(np.float32)
    logits += random.choice([0, 2, 6]) * (truth[:, :, None] == np.arange(len(SCHEME)))
    spelled = [[[SCHEME[tag] for tag in row] for row in tags] for tags in (truth, logits.argmax(axis=2))]
    theirs = {"accuracy": np.mean(truth == logits.argmax(axis=2))}
    if any(tag.startswith("B-") for tags in spelled for row in tags for tag in row):
        found = classification_report(*spelled, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
        theirs |= {
            name: found["micro avg"][f"{name}{'-score' * (name == 'f1')}"] for name in ("precision", "recall", "f1")
        }
    return "seqeval", _pairs(_measure(Tagging(SCHEME), truth, logits, random), theirs)


def comparison(random: np.random.Generator) -> tuple[str, Figures]:
    """Against statsmodels: McNemar's exact test, Holm's correction, the interval of a share."""
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportion_confint

    first, second = (int(random.integers(0, 60)) for _ in range(2))
    rows = int(random.integers(1, 2000))
    right = int(random.integers(0, rows + 1))
    values = random.random(int(random.integers(1, 12))) ** 3
    low, high = share_interval(right / rows, rows)
    their_low, their_high = proportion_confint(right, rows, method="beta")
    figures = {
        "McNemar": (mcnemar_exact(first, second), mcnemar([[9, first], [second, 9]], exact=True).pvalue),
        "Holm": (sum(holm(values.tolist())), float(multipletests(values, method="holm")[1].sum())),
        "interval of a share": (low + high, float(np.nan_to_num(their_low) + np.nan_to_num(their_high, nan=1.0))),
    }
    return "statsmodels", figures


COMPARISONS: tuple[Callable[[np.random.Generator], tuple[str, Figures]], ...] = (
    classification,
    multi_label,
    regression,
    tagging,
    comparison,
)


def compare(cases: int, seed: int) -> Iterator[tuple[str, str, str, int, float]]:
    """Task, figure, library, in how many cases it was compared, and the largest difference."""
    for one in COMPARISONS:
        worst: dict[str, list[float]] = {}
        random, library = np.random.default_rng(seed), ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scores that are undefined
            for _ in range(cases):
                library, figures = one(random)
                for name, (ours, theirs) in figures.items():
                    worst.setdefault(name, []).append(abs(ours - theirs))
        for name, differences in worst.items():
            yield one.__name__, name, library, len(differences), max(differences)


def _measure(task, truth: np.ndarray, logits: np.ndarray, random: np.random.Generator) -> dict[str, float]:
    """The task's metrics of rows that come in batches."""
    metrics = task.make_metrics()
    for rows in np.array_split(np.arange(len(truth)), min(len(truth), int(random.integers(1, 5)))):
        metrics.update(truth[rows], logits[rows])
    return metrics.result()


def _pairs(ours: dict[str, float], theirs: dict[str, float]) -> Figures:
    return {name: (ours[name], float(value)) for name, value in theirs.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    devices.prepare()
    found = list(compare(arguments.cases, arguments.seed))
    machine = describe_machine()
    lines = [
        f"# Figures beside those of other libraries: commit {machine['commit']}, {machine['date']}",
        "",
        "| task | figure | library | cases | largest difference |",
        "|---|---|---|---|---|",
        *(f"| {task} | {name} | {library} | {cases} | {worst:.1e} |" for task, name, library, cases, worst in found),
    ]
    (HERE / "results/metrics.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    wrong = [f"{task} {name}" for task, name, *_, worst in found if not worst <= LIMIT]
    if wrong:
        print(f"more than {LIMIT} apart: {', '.join(wrong)}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
