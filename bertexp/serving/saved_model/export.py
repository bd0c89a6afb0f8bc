"""The SavedModel a run ships: raw text in, the task's answer out, tokenizer inside.

Each task's ``signature.py`` tells what it serves; ``bertexp.json`` beside ``saved_model.pb`` says what it reads and answers
(``serving/spec.py``).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

import bertexp
from bertexp.errors import ExportError
from bertexp.models.encoder import Encoder
from bertexp.models.precision import float32_inference
from bertexp.serving.saved_model.signatures import make_signatures
from bertexp.serving.spec import ServingSpec
from bertexp.system.files import atomic_folder, scratch_folder

Features = Mapping[str, np.ndarray | tf.Tensor]


def export_saved_model(
    model: tf_keras.Model, vocab: Sequence[str], lowercase: bool, spec: ServingSpec, folder: str | Path
) -> Path:
    """Writes the model with its tokenizer as a SavedModel; the folder is complete or absent, an older one is replaced.

    Args:
        model: ``model(features, training=False) -> logits <float32>[batch, units]``; computes in float32 in the
            export, whatever precision it was trained in.
        vocab: the word pieces, padding first among them as ``[PAD]``.
        folder: where ``saved_model.pb`` will lie.

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
        with float32_inference(model), _joined_attention(model):
            signatures = make_signatures(model, vocab, lowercase, spec)
            graphs = [function.get_concrete_function().graph for function in signatures.values()]
            # only what is read: tracking the model would export each of its layers too
            module.weights = list({id(variable): variable for graph in graphs for variable in graph.variables}.values())
            tf.saved_model.save(module, str(written), signatures=signatures)
        about = spec.describe() | {"lowercase": lowercase, "versions": _versions()}
        (written / "bertexp.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        check_ops(written)
    return folder


@contextlib.contextmanager
def _joined_attention(model: tf_keras.Model) -> Iterator[None]:
    """Lets the encoder join query, key and value once for the graphs that are made while the context lasts."""
    with contextlib.ExitStack() as stack:
        for part in model.submodules:
            if isinstance(part, Encoder):
                stack.enter_context(part.joined_attention())
        yield


def reference_logits(model: tf_keras.Model, batches: Iterable[Features]) -> np.ndarray:
    """The trained model's logits <float32>[rows, units], computed as the export computes: float32, on the CPU.

    An accelerator rounds otherwise (TF32, bfloat16), which would hide or fake a difference of the export.
    """
    with float32_inference(model), tf.device("/CPU:0"):
        return np.concatenate([model(batch, training=False).numpy() for batch in batches])


def check_ops(folder: str | Path) -> None:
    """Raises ExportError naming the operations of a SavedModel that TF-Serving 2.15 with TF-Text 2.12.1 lacks."""
    saved_model = saved_model_pb2.SavedModel.FromString((Path(folder) / "saved_model.pb").read_bytes())
    lines = (
        resources.files("bertexp.serving.saved_model")
        .joinpath("serving_ops.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    known = {line for line in lines if not line.startswith("#")}
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


def _versions() -> dict[str, str]:
    installed = {name: metadata.version(name) for name in ("tensorflow", "tensorflow-text")}
    return {"bertexp": bertexp.__version__, **installed}
