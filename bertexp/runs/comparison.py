"""What ``compare`` sets side by side: the runs that words name, their differing settings, their metrics."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bertexp.config.resolve import flat_parameters
from bertexp.config.schema import Config
from bertexp.errors import ConfigError, RunNotFound
from bertexp.reports.confusions import accuracy_of, f1_of, matthews_of
from bertexp.reports.intervals import OF_CONFUSIONS
from bertexp.reports.paired import Predictions, read_predictions
from bertexp.runs.folder import RunFolder, find_run

BOOKKEEPING = ("run.name", "run.dry", "run.outputs_dir", "trainer.resume", "tracking.", "sweep.", "export.")

OF_MARGINALS = {"accuracy": accuracy_of, "f1": f1_of, "mcc": matthews_of}


@dataclass(frozen=True)
class Metric:
    """A value and, where it was computed from logged predictions, its 95% interval if it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.value:.4f}{interval}"


class Compared:
    """One run of a comparison; ``letter`` stands for it in the tables."""

    def __init__(self, letter: str, folder: RunFolder):
        self.letter, self.folder = letter, folder
        self.info = folder.info
        self.state: str = self.info.get("state", "not begun")
        self.parameters: dict[str, Any] = self.info.get("parameters", {})

    @cached_property
    def predictions(self) -> Predictions | None:
        """The labelled rows that the run was judged on, if it was.

        Raises:
            DataError: the file is damaged.
        """
        return read_predictions(self.folder.predictions())

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """``test/…`` and ``val/…`` by name; those with an interval come first."""
        known, computed = self.info.get("metrics", {}), {}
        if self.predictions and self.predictions.confusions is not None:
            split, confusions = self._judged_split(self.predictions.accuracy), self.predictions.confusions
            counts = confusions.marginals()
            for name, metric in OF_MARGINALS.items():
                interval = OF_CONFUSIONS[name](confusions) or (None, None)
                computed[f"{split}/{name}"] = Metric(float(metric(counts)), *interval)
        recorded = {name: Metric(known[name]) for name in sorted(known) if name.startswith(("test/", "val/"))}
        return computed | recorded | computed

    def _judged_split(self, accuracy: float) -> str:
        """Without labelled test rows a run is judged on its validation rows, and those are what was logged.

        A run that was killed between its test and its end has val/ metrics too, but of other rows.
        """
        known = self.info.get("metrics", {})
        on_val = "test/accuracy" not in known and math.isclose(known.get("val/accuracy", -1), accuracy)
        return "val" if on_val else "test"


def find_runs(references: Sequence[str], outputs_dir: str) -> list[RunFolder]:
    """The runs that ``references`` name, each once; a sweep's folder or name stands for its trials.

    Raises:
        RunNotFound: one names neither a run nor a sweep, or a sweep without trials.
        ConfigError: they name one run only.
    """
    found = {run.path: run for reference in references for run in _runs_of(reference, outputs_dir)}
    if len(found) < 2:
        raise ConfigError(
            f"compare needs two runs, and {' '.join(references)} is one ({next(iter(found.values())).shown}); "
            "name another run too, or a sweep of two trials or more"
        )
    return list(found.values())


def different_parameters(parameters: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Settings by dotted name that are not the same in all runs, each with its value in every run, None if it has none.

    Left out is what says where a run lies and how it is tracked. A setting that a run's version of bertexp did not have
    counts as its default; one that some of the runs cannot have (other tasks' or versions') is compared among the others.
    """
    names = dict.fromkeys(name for one in parameters for name in one if not name.startswith(BOOKKEEPING))
    whole = [flat_parameters(Config()) | dict(one) for one in parameters]
    values = {name: [one[name] for one in whole if name in one] for name in names}
    different = [name for name, given in values.items() if any(value != given[0] for value in given)]
    return {name: [one.get(name) for one in whole] for name in different}


def _runs_of(reference: str, outputs_dir: str) -> list[RunFolder]:
    sweeps = Path(outputs_dir, "sweeps")
    folders = () if reference in ("", "last") else (Path(reference), sweeps / reference)
    for folder in folders:
        # trial-0003/run.json or, with several seeds in a trial, trial-0003/seed-42/run.json
        if trials := sorted([*folder.glob("trial-*/run.json"), *folder.glob("trial-*/seed-*/run.json")]):
            return [RunFolder(path.parent) for path in trials]
    try:
        return [find_run(reference, outputs_dir)]
    except RunNotFound as error:
        if named := next(filter(Path.is_dir, folders), None):
            raise RunNotFound(f"{named} holds neither a run nor a trial of a sweep; name a folder that does") from None
        if not folders or not sweeps.is_dir():
            raise
        raise RunNotFound(f"{error}; {os.path.abspath(sweeps)} has no sweep of that name either") from None
