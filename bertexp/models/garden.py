"""Model Garden's encoders. This is the only file that knows their attributes.

Such an encoder owns the variables, their names and the form of the checkpoint. Here it is made, its layers are told apart
and its weights are named, and it is decided whether bert/forward.py can compute what it computes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import tf_utils
from official.nlp.modeling.networks.bert_encoder import BertEncoderV2
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from bertexp.interfaces import FEATURES, EncoderLayers
from bertexp.models.bert.forward import BertKind
from bertexp.models.bert.layer import ACTIVATIONS
from bertexp.models.source.architecture import BertArchitecture

_ACTIVATIONS = {  # as Keras and Model Garden call them
    "gelu_tanh": tf_utils.get_activation("gelu"),
    "gelu_erf": "gelu",
    "relu": "relu",
}
_EMBEDDINGS = {  # attributes of an encoder: Google's names
    "_embedding_layer": "bert/embeddings/word_embeddings",
    "_position_embedding_layer": "bert/embeddings/position_embeddings",
    "_type_embedding_layer": "bert/embeddings/token_type_embeddings",
    "_embedding_norm_layer": "bert/embeddings/LayerNorm",
}
_LAYER = {  # attributes of a transformer layer: Google's names
    "_attention_layer/_query_dense": "attention/self/query",
    "_attention_layer/_key_dense": "attention/self/key",
    "_attention_layer/_value_dense": "attention/self/value",
    "_attention_layer/_output_dense": "attention/output/dense",
    "_attention_layer_norm": "attention/output/LayerNorm",
    "_intermediate_dense": "intermediate/dense",
    "_output_dense": "output/dense",
    "_output_layer_norm": "output/LayerNorm",
}
_T = TypeVar("_T")
_NOT_BERTS = ("norm_first", "with_dense_inputs", "return_attention_scores", "return_word_embeddings", "embedding_layer")


def make_bert(architecture: BertArchitecture) -> BertEncoderV2:
    """A BertEncoderV2 whose weights are zeros: others are to be loaded or drawn."""
    encoder = BertEncoderV2(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        num_layers=architecture.num_layers,
        num_attention_heads=architecture.num_heads,
        inner_dim=architecture.intermediate_size,
        max_sequence_length=architecture.max_positions,
        type_vocab_size=architecture.type_vocab_size,
        inner_activation=_ACTIVATIONS[architecture.activation],
        output_dropout=architecture.hidden_dropout,
        attention_dropout=architecture.attention_dropout,
        initializer="zeros",
        name="encoder",
    )
    encoder._embedding_norm_layer.epsilon = architecture.layer_norm_epsilon
    for layer in encoder._transformer_layers:
        layer._norm_epsilon = architecture.layer_norm_epsilon
    return encoder


def build(encoder: tf_keras.layers.Layer) -> None:
    """Creates all variables of an encoder that has none yet, through its own call.

    The call is traced and never run: TensorFlow copies a variable at each read once a gather has read it directly.
    """
    if not encoder.built:
        trace = tf.autograph.experimental.do_not_convert(type(encoder).call)
        with tf.__internal__.FuncGraph("build").as_default(), tf.name_scope(encoder.name):
            trace(encoder, dict.fromkeys(FEATURES, tf.ones([1, 1], tf.int32)))
        encoder.built = True


def call(encoder: tf_keras.layers.Layer, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Model Garden's own call: sequence_output <float32>[batch, seq, hidden], pooled_output <float32>[batch, hidden]."""
    outputs = encoder({name: inputs[name] for name in FEATURES})
    if not isinstance(outputs, Mapping):
        outputs = dict(zip(("sequence_output", "pooled_output"), outputs, strict=True))
    return {name: tf.cast(outputs[name], tf.float32) for name in ("sequence_output", "pooled_output")}


def tell_layers(encoder: tf_keras.layers.Layer) -> EncoderLayers:
    """The layers of an encoder; embeddings and transformer are empty if it shares layers, as ALBERT does."""
    pooler = getattr(encoder, "_pooler_layer", None)
    if pooler is None:  # a functional encoder need not keep it as an attribute
        pooler = next((layer for layer in getattr(encoder, "layers", ()) if layer.name == "pooler_transform"), None)
    embeddings = [getattr(encoder, attribute, None) for attribute in _EMBEDDINGS]
    transformer = getattr(encoder, "_transformer_layers", ())
    if None in embeddings or not transformer:
        return EncoderLayers(pooler=pooler)
    projection = getattr(encoder, "_embedding_projection", None)  # from the embeddings' width to the layers'
    return EncoderLayers([*embeddings, *([projection] if projection else [])], list(transformer), pooler)


def read_kind(encoder: tf_keras.layers.Layer) -> BertKind | None:
    """What bert/forward.py must know to compute an encoder from its named weights; None if it cannot."""
    if type(encoder) is not BertEncoderV2:
        return None
    config, layers = encoder.get_config(), encoder._transformer_layers
    widths = {config["embedding_width"], config["hidden_size"]}
    epsilons = {encoder._embedding_norm_layer.epsilon, *(layer._norm_epsilon for layer in layers)}
    activation = _name_activation(layers[0]._inner_activation)
    if any(config[name] for name in _NOT_BERTS) or config["output_range"] or not activation:
        return None
    if len(widths) > 1 or len(epsilons) > 1:
        return None
    return BertKind(
        num_layers=len(layers),
        num_heads=config["num_attention_heads"],
        activation=activation,
        epsilon=epsilons.pop(),
        dropout=config["output_dropout"],
        attention_dropout=config["attention_dropout"],
    )


def _name_activation(function: object) -> str | None:
    """Which of forward's activations a function is: there are many spellings of one, so its values decide."""
    known = next((name for name, theirs in _ACTIVATIONS.items() if function == theirs), None)
    if known is not None:
        return known
    x = tf.linspace(-4.0, 4.0, 33)
    values = tf_keras.activations.get(function)(x)
    return next((name for name, ours in ACTIVATIONS.items() if np.allclose(values, ours(x), atol=1e-6)), None)


def named_variables(encoder: BertEncoderV2) -> dict[str, tf.Variable]:
    """The variables by the names of google-research/bert, in the order of the layers.

    A type table without rows (DistilBERT has none) is left out.
    """
    named = {}
    parts = [getattr(encoder, attribute) for attribute in _EMBEDDINGS]
    for name, part, path in _name_parts([*parts, *encoder._transformer_layers, encoder._pooler_layer]):
        for variable in functools.reduce(getattr, path, part).variables:
            named[_full_name(name, variable.name.rpartition("/")[2].removesuffix(":0"))] = variable
    return {name: variable for name, variable in named.items() if 0 not in variable.shape}


def flat_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Google's shape of a weight. Model Garden's differ in attention, where they keep heads apart.

    Args:
      name: Google's.
      shape: [hidden, heads, size], [heads, size, hidden] (output) or [heads, size] (bias); any other is Google's already.
    """
    if len(shape) == 3:
        first, heads, last = shape
        return (first * heads, last) if "attention/output" in name else (first, heads * last)
    return (math.prod(shape),) if name.endswith("bias") else tuple(shape)


def find_checkpoint_keys(serialized: bytes) -> dict[str, str]:
    """Finds an encoder in a checkpoint's object graph: Google's name of each variable -> its key.

    The graph is walked by attributes, for a key shows only one of the paths that lead to a variable. An encoder is a
    node with the attributes of BertEncoderV2, or the functional BertEncoder with its layers numbered in order.
    """
    graph = TrackableObjectGraph.FromString(serialized)
    children = [{child.local_name: child.node_id for child in node.children} for node in graph.nodes]
    root = next((names for names in children if {"_embedding_layer", "_transformer_layers"} <= names.keys()), None)
    if root is not None:
        blocks = children[root["_transformer_layers"]]
        layers = [blocks[str(number)] for number in range(sum(name.isdigit() for name in blocks))]
        parts = [*(root[attribute] for attribute in _EMBEDDINGS), *layers, root["_pooler_layer"]]
    else:
        root = next((names for names in children if "layer_with_weights-5" in names), {})
        count = sum(name.startswith("layer_with_weights-") for name in root)
        parts = [root[f"layer_with_weights-{number}"] for number in range(count)]
    keys = {}
    for name, part, path in _name_parts(parts):
        owner = functools.reduce(lambda node, step: node and children[node].get(step), path, part)
        for local, child in children[owner].items() if owner else ():
            attributes = graph.nodes[child].attributes
            if attributes and attributes[0].name == "VARIABLE_VALUE":
                keys[_full_name(name, local)] = attributes[0].checkpoint_key
    return keys


def _name_parts(parts: Sequence[_T]) -> Iterator[tuple[str, _T, Sequence[str]]]:
    """Google's name of all that owns variables, the part that it lies in, and the attributes that lead to it from there.

    Args:
      parts: the four embedding layers, the transformer layers, the pooler; or nothing.
    """
    if parts:
        names = [*_EMBEDDINGS.values(), "bert/pooler/dense"]
        yield from ((name, part, ()) for name, part in zip(names, [*parts[:4], parts[-1]], strict=True))
    for number, layer in enumerate(parts[4:-1]):
        yield from ((f"bert/encoder/layer_{number}/{name}", layer, path.split("/")) for path, name in _LAYER.items())


def _full_name(owner: str, variable: str) -> str:
    return owner if variable.endswith("embeddings") else f"{owner}/{variable}"
