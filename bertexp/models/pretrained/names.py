"""One name for each weight of a BERT, that of Google's first release, whatever the source calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from bertexp.errors import WeightsError
from bertexp.models.bert.encoder import BertEncoder
from bertexp.models.poolings.spec import others_than_pooler

# Heads of pretraining, optimizer state and counters: left over in any encoder, and no sign of a mistake.
_HARMLESS = re.compile(
    r"^cls[/.]|^vocab_(transform|layer_norm|projector)\.|adam|Adam|optimizer|global_step|position_ids|save_counter|_CHECKPOINTABLE_OBJECT_GRAPH|masked_lm|next_sentence|\bmlm\b"
)


def named_variables(encoder: BertEncoder) -> dict[str, tf.Variable]:
    """Returns the encoder's variables by the names of google-research/bert, in the order of its layers.

    A type table without rows (DistilBERT has none) is left out.
    """
    word, position, types, norm = encoder.embedding_layers
    named = {
        "bert/embeddings/word_embeddings": word.embeddings,
        "bert/embeddings/position_embeddings": position._position_embeddings,
        "bert/embeddings/token_type_embeddings": types.embeddings,
        "bert/embeddings/LayerNorm/gamma": norm.gamma,
        "bert/embeddings/LayerNorm/beta": norm.beta,
    }
    for number, layer in enumerate(encoder.transformer_layers):
        attention = layer._attention_layer
        dense = {
            "attention/self/query": attention._query_dense,
            "attention/self/key": attention._key_dense,
            "attention/self/value": attention._value_dense,
            "attention/output/dense": attention._output_dense,
            "intermediate/dense": layer._intermediate_dense,
            "output/dense": layer._output_dense,
        }
        norms = {"attention/output": layer._attention_layer_norm, "output": layer._output_layer_norm}
        for name, part in dense.items():
            named[f"bert/encoder/layer_{number}/{name}/kernel"] = part.kernel
            named[f"bert/encoder/layer_{number}/{name}/bias"] = part.bias
        for name, part in norms.items():
            named[f"bert/encoder/layer_{number}/{name}/LayerNorm/gamma"] = part.gamma
            named[f"bert/encoder/layer_{number}/{name}/LayerNorm/beta"] = part.beta
    named["bert/pooler/dense/kernel"] = encoder.pooler_layer.kernel
    named["bert/pooler/dense/bias"] = encoder.pooler_layer.bias
    return {name: variable for name, variable in named.items() if 0 not in variable.shape}


def is_harmless(name: str) -> bool:
    """Whether a left-over variable belongs to a head of pretraining, an optimizer or a counter."""
    return _HARMLESS.search(name) is not None


def flatten(name: str, value: np.ndarray) -> np.ndarray:
    """Gives Google's shape to an attention weight that keeps heads apart.

    Args:
      name: Google's.
      value: <float>[hidden, heads, size], [heads, size, hidden] (output), [heads, size] (bias), or flat already.
    """
    if value.ndim == 3:
        return value.reshape(-1, value.shape[-1]) if "attention/output" in name else value.reshape(len(value), -1)
    return value.reshape(-1) if name.endswith("bias") else value


def flat_shape(variable: tf.Variable) -> tuple[int, ...]:
    """Shape of a variable in Google's form, whose attention kernels are [hidden, hidden] and biases [hidden]."""
    shape = tuple(variable.shape)
    if len(shape) == 3:  # [hidden, heads, size] for query, key and value; [heads, size, hidden] for the output
        return (
            (shape[0], shape[1] * shape[2])
            if "attention_output" not in variable.name
            else (shape[0] * shape[1], shape[2])
        )
    return (shape[0] * shape[1],) if len(shape) == 2 and "bias" in variable.name else shape


def assign_weights(
    encoder: BertEncoder, weights: Mapping[str, np.ndarray], where: str, pooler_needed: bool = True
) -> dict[str, Any]:
    """Puts weights into an encoder; each of its variables must be among them.

    Args:
      encoder: built.
      weights: <float>[...] in Google's shapes, by Google's names; what has no such name keeps its own.
      where: named in errors.
      pooler_needed: False lets a missing pooler keep its random weights.

    Returns:
      "matched": number of variables assigned; "variables": of the encoder; "harmless", "left_over": names not used.

    Raises:
      WeightsError: weights are missing or have another shape.
    """
    wanted = named_variables(encoder)
    missing = [name for name in wanted if name not in weights]
    if not pooler_needed:
        missing = [name for name in missing if "pooler" not in name]
    elif missing and all("pooler" in name for name in missing):
        raise WeightsError(f"{where} has no pooler ({shorten(missing)}): choose model.pooling={others_than_pooler()}")
    if missing:
        raise WeightsError(f"{where} lacks {len(missing)} of {len(wanted)} weights of this BERT: {shorten(missing)}")
    for name, variable in wanted.items():
        if name in weights and tuple(weights[name].shape) != flat_shape(variable):
            raise WeightsError(
                f"{where} holds {name} of shape {tuple(weights[name].shape)}, but its configuration says {flat_shape(variable)}"
            )
    matched = 0
    for name, variable in wanted.items():
        if name in weights:
            variable.assign(np.asarray(weights[name], np.float32).reshape(variable.shape))
            matched += 1
    unused = sorted(name for name in weights if name not in wanted)
    harmless = [name for name in unused if is_harmless(name)]
    left_over = [name for name in unused if name not in harmless]
    return {"matched": matched, "variables": len(wanted), "harmless": harmless, "left_over": left_over}


def shorten(names: Iterable[str], most: int = 6) -> str:
    """Names joined by commas, the rest counted."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
