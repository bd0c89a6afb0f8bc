"""Weights from a Google checkpoint: named variables (TF1), or the object graph of a Model Garden encoder (TF2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from bertexp.errors import WeightsError
from bertexp.models.pretrained.names import flatten, is_harmless

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_LAYER = {  # attributes of Model Garden's transformer block: Google's names
    "_attention_layer/_query_dense": "attention/self/query",
    "_attention_layer/_key_dense": "attention/self/key",
    "_attention_layer/_value_dense": "attention/self/value",
    "_attention_layer/_output_dense": "attention/output/dense",
    "_attention_layer_norm": "attention/output/LayerNorm",
    "_intermediate_dense": "intermediate/dense",
    "_output_dense": "output/dense",
    "_output_layer_norm": "output/LayerNorm",
}


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
        keys = _keys_in_graph(reader.get_tensor(_GRAPH)) if _GRAPH in shapes else {name: name for name in shapes}
        named = {key: name for name, key in keys.items() if name.startswith("bert/") and not is_harmless(name)}
        if not named:
            raise WeightsError(
                f"{prefix} holds no BERT encoder; its first variables are {', '.join(sorted(shapes)[:4])}"
            )
        weights = {name: flatten(name, reader.get_tensor(key)) for key, name in named.items()}
    except tf.errors.OpError as error:
        raise WeightsError(f"{prefix} is not a whole checkpoint ({error.message}); fetch it again") from error
    return weights | {key: np.empty(0, np.float32) for key in shapes if key not in named}


def _keys_in_graph(serialized: bytes) -> dict[str, str]:
    """Finds the encoder in a checkpoint's object graph: Google's name of each variable -> its key.

    The graph is walked by attributes, for a key shows only one of the paths that lead to a variable. An encoder is a
    node with the attributes of BertEncoderV2, or the functional BertEncoder with its layers numbered in order.
    """
    graph = TrackableObjectGraph.FromString(serialized)
    children = [{child.local_name: child.node_id for child in node.children} for node in graph.nodes]
    root = next((names for names in children if {"_embedding_layer", "_transformer_layers"} <= names.keys()), None)
    if root is not None:
        blocks = children[root["_transformer_layers"]]
        layers = [blocks[str(number)] for number in range(sum(name.isdigit() for name in blocks))]
        parts = ("_embedding_layer", "_position_embedding_layer", "_type_embedding_layer", "_embedding_norm_layer")
        nodes = [*(root[part] for part in parts), *layers, root["_pooler_layer"]]
    else:
        root = next((names for names in children if "layer_with_weights-5" in names), {})
        count = sum(name.startswith("layer_with_weights-") for name in root)
        nodes = [root[f"layer_with_weights-{number}"] for number in range(count)]
    if len(nodes) < 6:
        return {}
    word, position, types, norm, *layers, pooler = nodes
    places = {
        "bert/embeddings/word_embeddings": (word, ""),
        "bert/embeddings/position_embeddings": (position, ""),
        "bert/embeddings/token_type_embeddings": (types, ""),
        "bert/embeddings/LayerNorm": (norm, ""),
        "bert/pooler/dense": (pooler, ""),
    }
    for number, layer in enumerate(layers):
        places |= {f"bert/encoder/layer_{number}/{name}": (layer, path) for path, name in _LAYER.items()}
    keys = {}
    for name, (node, path) in places.items():
        for step in filter(None, path.split("/")):
            node = children[node].get(step) if node is not None else None
        for local, child in children[node].items() if node is not None else ():
            attributes = graph.nodes[child].attributes
            if attributes and attributes[0].name == "VARIABLE_VALUE":
                full = name if local.endswith("embeddings") else f"{name}/{local}"
                keys[full] = attributes[0].checkpoint_key
    return keys
