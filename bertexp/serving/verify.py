"""Proves an export: a fresh process loads it and must give the trained model's probabilities.

The process takes some ten seconds to import TensorFlow. It can be started while the trainer still works, and waits:

    with Verifier() as verifier:
        ...  # train, export
        report = verifier.verify(folder, texts, None, probabilities, tolerance=1e-5)
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertexp.errors import ExportError

_ROOT = str(Path(__file__).parents[2])  # where the package lies


@dataclass(frozen=True)
class VerifyReport:
    """How close the reloaded model came."""

    max_difference: float  # of any number of the answers
    rows: int
    examples: list[dict[str, Any]]  # the answers to the examples


class Verifier:
    """A fresh Python process that imports TensorFlow, waits for one export, and loads and runs it. Serves once.

    It computes on the CPU, since the trainer may hold the accelerator's memory, and dies with its parent.
    """

    def __init__(self, timeout_seconds: float = 300.0):
        self.timeout_seconds = timeout_seconds
        environment = os.environ | {
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_USE_LEGACY_KERAS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH")))),
        }
        # A file, since a full pipe would block the process; closed by `__exit__`.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bertexp.serving.verify"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which may still want to export
        )

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process, whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in filter(None, (self._process.stdin, self._process.stdout, self._errors)):
            with contextlib.suppress(BrokenPipeError):  # it died with our request half written; `verify` has said so
                pipe.close()

    def verify(
        self,
        folder: str | Path,
        texts: Mapping[str, Sequence[str]],
        expected: np.ndarray,
        tolerance: float,
        examples: Mapping[str, Sequence[str]] | None = None,
    ) -> VerifyReport:
        """Compares the numbers of the export's answers, such as probabilities, with the trained model's.

        Args:
            folder: the SavedModel.
            texts: raw texts by the name of the model's input, one for each row.
            expected: the trained model's answers <float32>[rows, …].
            tolerance: largest difference of any number that passes.
            examples: more texts, which the reloaded model answers for the report.

        Raises:
            ExportError: a difference, a crash or no answer within the time limit.
        """
        request = {"folder": str(Path(folder).absolute()), "texts": dict(texts), "examples": dict(examples or {})}
        answer = self._ask(request)
        first = next(iter(texts.values()))
        expected = np.asarray(expected, np.float64).reshape(len(first), -1)
        answers = np.array(answer["answers"], np.float64).reshape(len(first), -1)
        if answers.shape != expected.shape:
            raise ExportError(
                f"the export in {folder} gives {answers.shape[1]} numbers per text, not {expected.shape[1]}"
            )
        difference = np.nan_to_num(np.abs(answers - expected), nan=np.inf).max(axis=1, initial=0.0)
        worst = int(difference.argmax()) if len(first) else 0
        largest = float(difference.max(initial=0.0))
        if largest > tolerance:
            raise ExportError(
                f"the export in {folder} differs from the trained model by {largest:.2e} (export.tolerance={tolerance:g}), "
                f"most on row {worst}, {first[worst][:60]!r}: {answers[worst].round(6).tolist()} instead of "
                f"{expected[worst].round(6).tolist()}"
            )
        return VerifyReport(largest, len(first), answer.get("examples", []))

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        folder, process = request["folder"], self._process
        try:
            output, _ = process.communicate(json.dumps(request), timeout=self.timeout_seconds)
        except subprocess.TimeoutExpired:
            raise ExportError(
                f"the export in {folder} gave no answer within {self.timeout_seconds:g} s after reloading"
            ) from None
        if process.returncode:
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines()
            raise ExportError(
                f"the export in {folder} cannot be reloaded: the fresh process ended with status {process.returncode}"
                f"{f', saying: {lines[-1]}' if lines else ''}"
            )
        return json.loads(output.splitlines()[-1])


def _serve_one_request() -> None:
    """The fresh process: imports first, so that the request finds it warm; ends quietly when none comes."""
    from bertexp.serving.saved_model.pyfunc import TextModel

    line = sys.stdin.read()
    if line:
        request = json.loads(line)
        model = TextModel(request["folder"])
        answers = model.run(request["texts"])[model.numbers]
        examples = model.answers(request["examples"]) if any(request["examples"].values()) else []
        print(json.dumps({"answers": answers.astype(np.float64).tolist(), "examples": examples}))


if __name__ == "__main__":
    _serve_one_request()
