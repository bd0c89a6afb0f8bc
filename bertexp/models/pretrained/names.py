"""One name for each weight of a BERT, that of Google's first release, whatever the source calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from bertexp.errors import WeightsError
from bertexp.models.garden import flat_shape
from bertexp.models.poolings.spec import others_than_pooler

# Heads of pretraining, optimizer state and counters: left over in any encoder, and no sign of a mistake.
_HARMLESS = re.compile(
    r"^cls[/.]|^vocab_(transform|layer_norm|projector)\.|adam|Adam|optimizer|global_step|position_ids|save_counter|_CHECKPOINTABLE_OBJECT_GRAPH|masked_lm|next_sentence|\bmlm\b"
)


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
