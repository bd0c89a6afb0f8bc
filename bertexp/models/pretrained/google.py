"""Weights from a Google checkpoint: named variables (TF1), or the object graph of a Model Garden encoder (TF2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from bertexp.errors import WeightsError
from bertexp.models.garden import find_checkpoint_keys, flat_shape
from bertexp.models.pretrained.names import is_harmless

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def read_weights(folder: str) -> dict[str, np.ndarray]:
    """Reads the one checkpoint of a folder.

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
        keys = find_checkpoint_keys(reader.get_tensor(_GRAPH)) if _GRAPH in shapes else {name: name for name in shapes}
        named = {key: name for name, key in keys.items() if name.startswith("bert/") and not is_harmless(name)}
        if not named:
            raise WeightsError(
                f"{prefix} holds no BERT encoder; its first variables are {', '.join(sorted(shapes)[:4])}"
            )
        weights = {name: reader.get_tensor(key) for key, name in named.items()}
    except tf.errors.OpError as error:
        raise WeightsError(f"{prefix} is not a whole checkpoint ({error.message}); fetch it again") from error
    weights = {name: value.reshape(flat_shape(name, value.shape)) for name, value in weights.items()}
    return weights | {key: np.empty(0, np.float32) for key in shapes if key not in named}
