"""Model Garden's encoders. This is the only file that knows their attributes.

Such an encoder owns the variables, their names and the form of the checkpoint. Here it is made, its layers are told apart
and its weights are named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tf_keras
from official.modeling import tf_utils
from official.nlp.modeling.networks.bert_encoder import BertEncoderV2
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from bertexp.interfaces import FEATURES, EncoderLayers
from bertexp.models.source.architecture import BertArchitecture

_ACTIVATIONS = {  # as Keras and Model Garden call them
    "gelu_tanh": tf_utils.get_activation("gelu"),
    "gelu_erf": "gelu",
    "relu": "relu",
}
_NAMES = {  # patterns of its variables' names, from 2019 on: Google's names, below bert/
    r"word_embeddings/embeddings": "embeddings/word_embeddings",
    r"(?:position_embedding/(?:position_)?embeddings|embedding_postprocessor/position_embeddings)": (
        "embeddings/position_embeddings"
    ),
    r"(?:type_embeddings/embeddings|embedding_postprocessor/type_embeddings)": "embeddings/token_type_embeddings",
    r"(?:embeddings|embedding_postprocessor)/layer_norm": "embeddings/LayerNorm",
    r"layer_(\d+)/self_attention/(query|key|value)": r"encoder/layer_\1/attention/self/\2",
    r"layer_(\d+)/self_attention(?:/attention)?_output": r"encoder/layer_\1/attention/output/dense",
    r"layer_(\d+)/self_attention_layer_norm": r"encoder/layer_\1/attention/output/LayerNorm",
    r"layer_(\d+)/intermediate": r"encoder/layer_\1/intermediate/dense",
    r"layer_(\d+)/output": r"encoder/layer_\1/output/dense",
    r"layer_(\d+)/output_layer_norm": r"encoder/layer_\1/output/LayerNorm",
    r"pooler_transform": "pooler/dense",
}
_EMBEDDINGS = ("_embedding_layer", "_position_embedding_layer", "_type_embedding_layer", "_embedding_norm_layer")


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


def google_name(name: str) -> str:
    """Turns the name of a Model Garden encoder's variable into Google's; any other name stays as it is.

    E.g. transformer/layer_0/output/kernel:0 becomes bert/encoder/layer_0/output/dense/kernel.
    """
    name = name.removesuffix(":0")
    for pattern, google_name in _NAMES.items():
        last = "()" if google_name.endswith("embeddings") else "(/kernel|/bias|/gamma|/beta)"
        if match := re.search(rf"(?:^|/){pattern}{last}$", name):
            return f"bert/{match.expand(google_name)}{match.groups()[-1]}"
    return name


def named_variables(encoder: BertEncoderV2) -> dict[str, tf.Variable]:
    """The variables by the names of google-research/bert.

    A type table without rows (DistilBERT has none) is left out.
    """
    return {google_name(variable.name): variable for variable in encoder.variables if 0 not in variable.shape}


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


def name_checkpoint_keys(serialized: bytes) -> dict[str, str]:
    """From the keys of a checkpoint to Google's names, by the names of the variables in the checkpoint's object graph.

    A key shows only one of the paths that lead to a variable, such as that of a head which shares the word table.
    """
    nodes = TrackableObjectGraph.FromString(serialized).nodes
    found = {found.checkpoint_key: google_name(found.full_name) for node in nodes for found in node.attributes}
    return {key: name for key, name in found.items() if "optimizer" not in key.lower()}  # whose slots are named alike
