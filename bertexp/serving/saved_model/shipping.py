"""Export, proof and logging of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertexp.config.schema import Config
from bertexp.serving.answers import Prediction, as_table
from bertexp.serving.saved_model import pyfunc
from bertexp.serving.saved_model.export import export_saved_model, reference_logits
from bertexp.serving.spec import ServingSpec
from bertexp.serving.verify import Verifier, VerifyReport
from bertexp.system.console import labelled, say
from bertexp.system.provenance import read_versions

if TYPE_CHECKING:
    from bertexp.runs.folder import RunFolder
    from bertexp.runs.stages.parts import Parts
    from bertexp.tracking.base import Tracker

VERIFIED_ROWS = 32


def export_model(config: Config, parts: Parts, verifier: Verifier, folder: RunFolder, tracker: Tracker) -> VerifyReport:
    """Writes the SavedModel, has a fresh process reproduce the trained model with it, and only then logs it.

    Raises:
        ExportError: the export cannot be reloaded or differs by more than ``export.tolerance``.
    """
    say(labelled("exporting", "SavedModel with its tokenizer; a fresh process reloads it"))
    dataset, model = parts.dataset, parts.module.model
    spec = ServingSpec(
        parts.task, config.dataset.max_length, dataset.has_pair, config.dataset.long_text, config.dataset.overlap
    )
    inputs = parts.task.spec.inputs(dataset.has_pair)
    export_saved_model(model, parts.loaded.vocab, parts.loaded.lowercase, spec, folder.model_folder)
    split = "test" if "test" in dataset.splits else "train"
    rows, examples = parts.data.read_anew(split, VERIFIED_ROWS)
    indices = np.arange(len(examples.lengths))
    logits = reference_logits(model, [examples.pack(indices)[0]])
    expected = parts.task.answers(examples.truth(indices), logits)
    if parts.task.spec.reads_words:
        texts = {"words": rows["words"].to_pylist()}  # of a text the export would choose the words itself
    else:
        texts = {name: rows[field].to_pylist() for name, field in zip(inputs, ("text", "text_pair"), strict=False)}
    asked = {name: [row[index] for row in config.export.examples] for index, name in enumerate(inputs)}
    report = verifier.verify(folder.model_folder, texts, expected, config.export.tolerance, asked)
    say(labelled("verified", f"{report.rows} rows, largest difference {report.max_difference:.1e}"))
    if config.export.examples:
        _show_examples(asked, report.examples, tracker)
    if config.tracking.log_model:
        versions = read_versions(("tensorflow", "tensorflow-text", "numpy"))
        tracker.log_model(
            folder.model_folder,
            Path(pyfunc.__file__),
            [f"{package}=={version}" for package, version in versions.items()],
        )
    return report


def _show_examples(asked: dict[str, list[str]], answers: list[dict[str, Any]], tracker: Tracker) -> None:
    rows = [dict(zip(asked, row, strict=True)) for row in zip(*asked.values(), strict=True)]
    predictions = [Prediction(*pair) for pair in zip(rows, answers, strict=True)]
    say(f"\n{as_table(predictions).rstrip()}")
    tracker.log_dict({"examples": [one.as_dict() for one in predictions]}, "examples.json")
