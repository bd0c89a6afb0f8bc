"""The SavedModel a run ships (raw text in, the task's answer out, tokenizer inside): written, proven, logged.

Each task tells what it serves (``interfaces.Task.make_signatures``); ``bertexp.json`` beside ``saved_model.pb`` says what it
reads and answers (``serving/spec.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from bertexp import __version__
from bertexp.config.schema import Config
from bertexp.errors import ExportError
from bertexp.models.encoder import Encoder
from bertexp.models.precision import float32_inference
from bertexp.serving.answers import Prediction, as_table
from bertexp.serving.saved_model import pyfunc
from bertexp.serving.saved_model.graph import make_tokenizer
from bertexp.serving.spec import ServingSpec
from bertexp.serving.verify import Verifier, VerifyReport
from bertexp.system.console import labelled, say
from bertexp.system.files import atomic_folder, scratch_folder
from bertexp.system.machine import read_versions

if TYPE_CHECKING:
    from bertexp.runs.folder import RunFolder
    from bertexp.runs.stages.parts import Parts
    from bertexp.tracking.base import Tracker

VERIFIED_ROWS = 32


def ship_model(config: Config, parts: Parts, verifier: Verifier, folder: RunFolder, tracker: Tracker) -> VerifyReport:
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
    loaded = parts.loaded
    export_saved_model(model, loaded.vocab, loaded.lowercase, spec, folder.model_folder, loaded.strip_accents)
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
        asked_rows = (dict(zip(inputs, row, strict=True)) for row in zip(*asked.values(), strict=True))
        answered = list(map(Prediction, asked_rows, report.examples))
        say(f"\n{as_table(answered).rstrip()}")
        tracker.log_dict({"examples": [one.as_dict() for one in answered]}, "examples.json")
    if config.tracking.log_model:
        versions = read_versions(("tensorflow", "tensorflow-text", "numpy"))
        requirements = [f"{package}=={version}" for package, version in versions.items()]
        tracker.log_model(folder.model_folder, Path(pyfunc.__file__), requirements)
    return report


def export_saved_model(
    model: tf_keras.Model,
    vocab: Sequence[str],
    lowercase: bool,
    spec: ServingSpec,
    folder: str | Path,
    strip_accents: bool = True,
) -> Path:
    """Writes the model with its tokenizer as a SavedModel; the folder is complete or absent, an older one is replaced.

    Args:
        model: ``model(features, training=False) -> logits <float32>[batch, units]``; computes in float32 in the
            export, whatever precision it was trained in.
        vocab: the word pieces, padding first among them as ``[PAD]``.
        lowercase: whether texts are put into lower case.
        folder: where ``saved_model.pb`` will lie.
        strip_accents: whether accents are then taken off.

    Returns:
        The folder.

    Raises:
        ExportError: the graph holds an operation that TensorFlow Serving lacks.
    """
    folder = Path(folder).absolute()
    with scratch_folder(folder.parent) as scratch, atomic_folder(folder, replace=True) as written:
        vocab_file = scratch / "vocab.txt"
        vocab_file.write_text("".join(f"{piece}\n" for piece in vocab), encoding="utf-8")
        module = tf.Module()
        module.vocab_file = tf.saved_model.Asset(str(vocab_file))
        with ExitStack() as stack:
            stack.enter_context(float32_inference(model))
            for encoder in (part for part in model.submodules if isinstance(part, Encoder)):
                stack.enter_context(encoder.joined_attention())  # query, key and value: once for all graphs
            tokenizer = make_tokenizer(vocab, lowercase, strip_accents)
            signatures = spec.task.make_signatures(model, tokenizer, spec)
            graphs = [function.get_concrete_function().graph for function in signatures.values()]
            # only what is read: tracking the model would export each of its layers too
            module.weights = list({id(variable): variable for graph in graphs for variable in graph.variables}.values())
            tf.saved_model.save(module, str(written), signatures=signatures)
        versions = {"bertexp": __version__} | read_versions(("tensorflow", "tensorflow-text"))
        casing = {"lowercase": lowercase, "strip_accents": lowercase and strip_accents}
        about = spec.describe() | casing | {"versions": versions}
        (written / "bertexp.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        check_ops(written)
    return folder


def reference_logits(model: tf_keras.Model, batches: Iterable[Mapping[str, np.ndarray | tf.Tensor]]) -> np.ndarray:
    """The trained model's logits <float32>[rows, units], computed as the export computes: float32, on the CPU.

    An accelerator rounds otherwise (TF32, bfloat16), which would hide or fake a difference of the export.
    """
    with float32_inference(model), tf.device("/CPU:0"):
        return np.concatenate([model(batch, training=False).numpy() for batch in batches])


def check_ops(folder: str | Path) -> None:
    """Raises ExportError naming the operations of a SavedModel that TF-Serving 2.15 with TF-Text 2.12.1 lacks."""
    saved_model = saved_model_pb2.SavedModel.FromString((Path(folder) / "saved_model.pb").read_bytes())
    known = {*Path(__file__).with_name("serving_ops.txt").read_text(encoding="utf-8").splitlines()}
    foreign = set()
    for meta_graph in saved_model.meta_graphs:
        functions = meta_graph.graph_def.library.function
        nodes = [meta_graph.graph_def.node, *(function.node_def for function in functions)]
        used = {node.op for group in nodes for node in group}
        foreign |= used - known - {function.signature.name for function in functions}
    if foreign:
        raise ExportError(
            f"the exported model uses {', '.join(sorted(foreign))}, which TensorFlow Serving 2.15 does not have: "
            "use another model, or skip the export with export.enabled=false"
        )
