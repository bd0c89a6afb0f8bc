"""The SavedModel a run ships: raw text in, label and probabilities out, tokenizer inside.

Signatures:
    serving_default  text (and text_pair) <string> of any shape, flattened to N rows -> label <string>[N],
                     probabilities <float32>[N, classes]
    ids              input_word_ids, input_mask, input_type_ids <int32>[N, seq] -> logits <float32>[N, units]

``bertexp.json`` beside ``saved_model.pb`` names the classes and the settings that the graph was built with.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

import bertexp
from bertexp.errors import ExportError

Features = Mapping[str, np.ndarray | tf.Tensor]


@dataclass(frozen=True)
class ServingSpec:
    """What the graph around the model has to know; written to ``bertexp.json``."""

    label_names: tuple[str, ...]
    max_length: int  # word pieces per row, special tokens included
    has_pair: bool
    binary_head: str = "sigmoid"  # two classes: sigmoid (one logit) | softmax

    @property
    def one_logit(self) -> bool:
        """Whether the model returns the log-odds of the second of two classes."""
        return len(self.label_names) == 2 and self.binary_head == "sigmoid"


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
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        vocab_file = Path(scratch) / "vocab.txt"
        vocab_file.write_text("".join(f"{piece}\n" for piece in vocab), encoding="utf-8")
        written = Path(scratch) / "model"
        module = tf.Module()
        module.weights = list(model.variables)  # only these: tracking the model would export each of its layers too
        module.vocab_file = tf.saved_model.Asset(str(vocab_file))
        with float32_inference(model):
            signatures = _make_signatures(model, vocab, lowercase, spec)
            tf.saved_model.save(module, str(written), signatures=signatures)
        about = {"format": 1, **asdict(spec), "lowercase": lowercase, "versions": _versions()}
        (written / "bertexp.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        check_ops(written)
        _sync(written)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(written, folder)
    return folder


@contextlib.contextmanager
def float32_inference(model: tf_keras.Model) -> Iterator[None]:
    """Lets every layer compute in float32 while the context lasts, for models of a mixed-precision policy.

    Only what is traced or run eagerly inside the context is affected.
    """
    layers = [layer for layer in (model, *model.submodules) if isinstance(layer, tf_keras.layers.Layer)]
    policies = [layer.dtype_policy for layer in layers]
    mixed = [policy.compute_dtype != policy.variable_dtype for policy in policies]
    full = tf_keras.mixed_precision.Policy("float32")
    try:
        for layer, is_mixed in zip(layers, mixed, strict=True):
            if is_mixed:
                layer._set_dtype_policy(full)
        yield
    finally:
        for layer, policy, is_mixed in zip(layers, policies, mixed, strict=True):
            if is_mixed:
                layer._set_dtype_policy(policy)


def reference_logits(model: tf_keras.Model, batches: Iterable[Features]) -> np.ndarray:
    """The trained model's logits <float32>[rows, units], computed as the export computes: float32, on the CPU.

    An accelerator rounds otherwise (TF32, bfloat16), which would hide or fake a difference of the export.
    """
    with float32_inference(model), tf.device("/CPU:0"):
        return np.concatenate([model(batch, training=False).numpy() for batch in batches])


def check_ops(folder: str | Path) -> None:
    """Raises ExportError naming the operations of a SavedModel that TF-Serving 2.15 with TF-Text 2.12.1 lacks."""
    saved_model = saved_model_pb2.SavedModel.FromString((Path(folder) / "saved_model.pb").read_bytes())
    lines = resources.files("bertexp.serving").joinpath("serving_ops.txt").read_text(encoding="utf-8").splitlines()
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


def _make_signatures(
    model: tf_keras.Model, vocab: Sequence[str], lowercase: bool, spec: ServingSpec
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    tokenizer = tensorflow_text.FastBertTokenizer(
        list(vocab), token_out_type=tf.int32, lower_case_nfd_strip_accents=lowercase
    )
    cls_id, sep_id, pad_id = (list(vocab).index(token) for token in ("[CLS]", "[SEP]", "[PAD]"))
    label_names = tf.constant(spec.label_names)

    def answer(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        flat = [tf.reshape(text, [-1]) for text in texts]
        if len(flat) == 2:
            message = "text and text_pair must hold the same number of texts"
            with tf.control_dependencies([tf.debugging.assert_equal(tf.size(flat[0]), tf.size(flat[1]), message)]):
                flat = [tf.identity(text) for text in flat]
        tokens = [tokenizer.tokenize(text) for text in flat]
        logits = tf.cast(
            model(pack_tokens(tokens, spec.max_length, cls_id, sep_id, pad_id), training=False), tf.float32
        )
        if spec.one_logit:
            positive = tf.sigmoid(logits[:, :1])
            probabilities = tf.concat([1.0 - positive, positive], axis=1)
            winner = tf.cast(logits[:, 0] > 0, tf.int32)
        else:
            probabilities = tf.nn.softmax(logits)
            winner = tf.argmax(logits, axis=1, output_type=tf.int32)
        return {"label": tf.gather(label_names, winner), "probabilities": probabilities}

    def strings(name: str) -> tf.TensorSpec:
        return tf.TensorSpec(None, tf.string, name=name)

    def ids(name: str) -> tf.TensorSpec:
        return tf.TensorSpec([None, None], tf.int32, name=name)

    @tf.function(input_signature=[strings("text")])
    def serve_text(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(text)

    @tf.function(input_signature=[strings("text"), strings("text_pair")])
    def serve_pair(text: tf.Tensor, text_pair: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(text, text_pair)

    @tf.function(input_signature=[ids("input_word_ids"), ids("input_mask"), ids("input_type_ids")])
    def serve_ids(input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        features = {"input_word_ids": input_word_ids, "input_mask": input_mask, "input_type_ids": input_type_ids}
        return {"logits": tf.cast(model(features, training=False), tf.float32)}

    return {"serving_default": serve_pair if spec.has_pair else serve_text, "ids": serve_ids}


def pack_tokens(
    tokens: Sequence[tf.RaggedTensor], max_length: int, cls_id: int, sep_id: int, pad_id: int
) -> dict[str, tf.Tensor]:
    """``data/packing.py`` once more, in core operations: the trimmers of tensorflow-text are not in TF-Serving.

    Args:
        tokens: one or two ragged tensors <int32>[N, (tokens)].

    Returns:
        input_word_ids, input_mask, input_type_ids, each <int32>[N, seq], padded to the longest row.
    """
    lengths = [text.row_lengths() for text in tokens]
    if len(tokens) == 1:
        kept = [tf.minimum(lengths[0], max_length - 2)]
    else:
        budget = max_length - 3
        kept_first = tf.minimum(lengths[0], tf.maximum(budget - lengths[1], (budget + 1) // 2))
        kept = [kept_first, tf.minimum(lengths[1], budget - kept_first)]

    def column(token_id: int) -> tf.RaggedTensor:
        ids = tf.fill(tf.shape(lengths[0]), token_id)
        return tf.RaggedTensor.from_uniform_row_length(ids, 1)

    parts = [column(cls_id)]
    for text, count in zip(tokens, kept, strict=True):
        places = tf.ragged.range(text.row_starts(), text.row_starts() + count)
        parts += [places.with_flat_values(tf.gather(text.flat_values, places.flat_values)), column(sep_id)]
    packed = tf.concat(parts, axis=1)
    seq = tf.maximum(tf.cast(packed.bounding_shape(axis=1), tf.int32), 1 + len(tokens))  # also where N is 0
    word_ids = packed.to_tensor(pad_id, shape=tf.stack([-1, seq]))
    mask = tf.sequence_mask(packed.row_lengths(), seq, tf.int32)
    first_segment = tf.sequence_mask(kept[0] + 2, seq, tf.int32)
    return {"input_word_ids": word_ids, "input_mask": mask, "input_type_ids": tf.maximum(mask - first_segment, 0)}


def _versions() -> dict[str, str]:
    installed = {name: metadata.version(name) for name in ("tensorflow", "tensorflow-text")}
    return {"bertexp": bertexp.__version__, **installed}


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
