"""The weights of Google checkpoints and Hugging Face folders, and how an encoder takes them.

Each has one name, that of Google's first release, whatever the source calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bertexp.errors import WeightsError
from bertexp.models.garden import flat_shape, name_checkpoint_keys
from bertexp.models.poolings.spec import others_than_pooler
from bertexp.models.source.folders import weight_files

# Heads of pretraining, optimizer state and counters: left over in any encoder, and no sign of a mistake.
_HARMLESS = re.compile(
    r"^cls[/.]|^vocab_(transform|layer_norm|projector)\.|adam|Adam|optimizer|global_step|position_ids|save_counter|_CHECKPOINTABLE_OBJECT_GRAPH|masked_lm|next_sentence|\bmlm\b"
)
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_DISTILBERT = {  # parts of DistilBERT's layers by BERT's names
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}


def read_google(folder: str) -> dict[str, np.ndarray]:
    """Reads the one checkpoint of a folder: named variables (TF1), or the object graph of a Model Garden encoder (TF2).

    Returns:
      <float>[...] in Google's shapes and names; what belongs to no BERT encoder keeps its own name and is not read.

    Raises:
      WeightsError: there are several checkpoints, or this one is broken or holds no BERT.
    """
    found = sorted(Path(folder).glob("*.index"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise WeightsError(f"{folder} holds {len(found)} checkpoints ({names}); leave one there")
    prefix = str(found[0]).removesuffix(".index")
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        keys = {name: name for name in shapes}
        if _OBJECT_GRAPH in shapes:
            keys = name_checkpoint_keys(reader.get_tensor(_OBJECT_GRAPH))
        named = {key: name for key, name in keys.items() if name.startswith("bert/") and not is_harmless(name)}
        if not named:
            raise WeightsError(
                f"{prefix} holds no BERT encoder; its first variables are {', '.join(sorted(shapes)[:4])}"
            )
        weights = {name: reader.get_tensor(key) for key, name in reversed(named.items())}  # of two encoders the first
    except tf.errors.OpError as error:
        raise WeightsError(f"{prefix} is not a whole checkpoint ({error.message}); fetch it again") from error
    weights = {name: value.reshape(flat_shape(name, value.shape)) for name, value in weights.items()}
    return weights | {key: np.empty(0, np.float32) for key in shapes if key not in named}


def read_huggingface(folder: str) -> dict[str, np.ndarray]:
    """Reads a Hugging Face folder's model.safetensors, or the shards in its place.

    Returns:
      <float>[...] in Google's shapes and names; what belongs to no BERT encoder keeps its own name.

    Raises:
      WeightsError: a file is broken or missing, or two hold weights of one name.
    """
    tensors: dict[str, np.ndarray] = {}
    for path in weight_files(folder):
        try:
            part = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise WeightsError(f"{path} is not a whole safetensors file ({error}); fetch it again") from error
        if twice := tensors.keys() & part.keys():
            raise WeightsError(f"{path} holds {shorten(sorted(twice))} once more than another shard; fetch all anew")
        tensors |= part
    return dict(_translate_huggingface(name, value) for name, value in tensors.items())


def _translate_huggingface(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """Turns e.g. bert.encoder.layer.0.output.dense.weight into bert/encoder/layer_0/output/dense/kernel.

    So it does with distilbert.transformer.layer.0.ffn.lin2.weight.
    """
    inner = name.removeprefix("distil").removeprefix("bert.")
    if match := re.fullmatch(r"transformer\.(layer\.\d+)\.(.+)\.(\w+)", inner):
        layer, part, parameter = match.groups()
        inner = f"encoder.{layer}.{_DISTILBERT.get(part, part)}.{parameter}"
    if not inner.startswith(("embeddings.", "encoder.", "pooler.")) or inner.endswith("position_ids"):
        return name, value
    *parts, last = re.sub(r"^encoder\.layer\.(\d+)", r"encoder.layer_\1", inner).split(".")
    owner = "/".join(["bert", *parts])
    if parts[-1] == "LayerNorm":  # files from before 2019 say gamma and beta
        return "/".join([owner, {"weight": "gamma", "bias": "beta"}.get(last, last)]), value
    if parts[0] == "embeddings":
        return owner, value
    return (f"{owner}/kernel", value.T) if last == "weight" else (f"{owner}/{last}", value)


def is_harmless(name: str) -> bool:
    """Whether a left-over variable belongs to a head of pretraining, an optimizer or a counter."""
    return _HARMLESS.search(name) is not None


def assign_weights(
    named: Mapping[str, tf.Variable], weights: Mapping[str, np.ndarray], where: str, pooler_needed: bool = True
) -> dict[str, Any]:
    """Puts weights into an encoder's variables, each of which must be among them.

    Args:
      named: the variables by Google's names.
      weights: <float>[...] in Google's shapes, by Google's names; what has no such name keeps its own.
      where: named in errors.
      pooler_needed: False lets a missing pooler keep its random weights.

    Returns:
      "matched": number of variables assigned; "variables": of the encoder; "harmless", "left_over": names not used.

    Raises:
      WeightsError: weights are missing or have another shape.
    """
    missing = [name for name in named if name not in weights and (pooler_needed or "pooler" not in name)]
    if missing and all("pooler" in name for name in missing):
        raise WeightsError(f"{where} has no pooler ({shorten(missing)}): choose model.pooling={others_than_pooler()}")
    if missing:
        raise WeightsError(f"{where} lacks {len(missing)} of {len(named)} weights of this BERT: {shorten(missing)}")
    matched = {name: variable for name, variable in named.items() if name in weights}
    for name, variable in matched.items():
        shape = flat_shape(name, variable.shape)
        if weights[name].shape != shape:
            raise WeightsError(
                f"{where} holds {name} of shape {weights[name].shape}, but its configuration says {shape}"
            )
        variable.assign(np.asarray(weights[name], np.float32).reshape(variable.shape))
    unused = sorted(name for name in weights if name not in named)
    harmless = [name for name in unused if is_harmless(name)]
    left_over = [name for name in unused if name not in harmless]
    return {"matched": len(matched), "variables": len(named), "harmless": harmless, "left_over": left_over}


def shorten(names: Iterable[str], most: int = 6) -> str:
    """Names joined by commas, the rest counted."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
