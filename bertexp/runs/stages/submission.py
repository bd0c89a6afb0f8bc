"""GLUE's submission files: what a run's model says of the tests whose labels GLUE keeps to itself."""

from __future__ import annotations

import numpy as np

from bertexp.config.schema import Config
from bertexp.data.sets.glue.tasks import GLUE
from bertexp.data.table import TextDataset
from bertexp.runs.folder import RunFolder
from bertexp.runs.stages.parts import Parts, make_data
from bertexp.system.console import labelled, say
from bertexp.system.files import write_text
from bertexp.tracking.base import Tracker
from bertexp.training.evaluation import evaluate


def write_submission(
    config: Config, parts: Parts, unlabelled: TextDataset, folder: RunFolder, tracker: Tracker
) -> None:
    """Writes ``glue/<name>.tsv`` for each split of ``unlabelled``, as gluebenchmark.com takes it, and hands it to the tracker."""
    glue = GLUE[unlabelled.name]
    data = make_data(config, unlabelled, parts.loaded)
    for name, table in unlabelled.splits.items():
        predicted = np.zeros(table.num_rows, np.int64 if glue.label_names else np.float32)
        for batch in evaluate(parts.module, data.eval_loader(name)):
            answers = parts.task.answers(batch.truth, batch.logits)
            predicted[batch.rows] = answers.argmax(axis=1) if glue.label_names else answers[:, 0]
        lines = [f"{index}\t{answer}" for index, answer in enumerate(glue.spell(predicted.tolist()))]
        path = folder.path / "glue" / f"{name}.tsv"
        write_text(path, "\n".join(["index\tprediction", *lines]) + "\n")
        tracker.log_file(path, "glue")
        say(labelled("submit", f"{folder.shown}/glue/{name}.tsv ({table.num_rows:,} rows)"))
