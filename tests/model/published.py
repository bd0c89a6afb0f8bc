"""Writes one encoder in every form that weights are published in, with Model Garden's own tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from official.legacy.bert.configs import BertConfig
from official.nlp.modeling.networks import BertEncoder as FunctionalEncoder
from official.nlp.tools import export_tfhub_lib
from safetensors.numpy import save_file

from bertexp.models.encoder import Encoder
from bertexp.models.garden import flat_shape
from bertexp.models.source.architecture import BertArchitecture

_GELU = {"gelu_tanh": "gelu", "gelu_erf": tf_keras.activations.gelu}  # as Model Garden's get_activation reads them


def google_weights(encoder: Encoder) -> dict[str, np.ndarray]:
    """The encoder's weights by Google's names, in Google's shapes."""
    weights = {name: variable.numpy() for name, variable in encoder.named_weights.items()}
    return {name: value.reshape(flat_shape(name, value.shape)) for name, value in weights.items()}


def write_small_files(folder: Path, architecture: BertArchitecture, vocab: list[str], kind: str) -> None:
    """The configuration and the vocabulary."""
    values = {
        "vocab_size": architecture.vocab_size,
        "hidden_size": architecture.hidden_size,
        "num_hidden_layers": architecture.num_layers,
        "num_attention_heads": architecture.num_heads,
        "intermediate_size": architecture.intermediate_size,
        "max_position_embeddings": architecture.max_positions,
        "type_vocab_size": architecture.type_vocab_size,
        "hidden_act": architecture.activation,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "huggingface":
        values |= {"model_type": "bert", "layer_norm_eps": architecture.layer_norm_epsilon}
    (folder / ("bert_config.json" if kind == "google" else "config.json")).write_text(json.dumps(values))
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")


def write_huggingface(folder, encoder, architecture, vocab, prefix="bert.", old_norms=False, extra=()) -> None:
    """A Hugging Face folder, kernels transposed, with and without the prefix and the old LayerNorm names."""
    write_small_files(folder, architecture, vocab, "huggingface")
    norms = ("gamma", "beta") if old_norms else ("weight", "bias")
    tensors = {name: np.zeros(3, np.float32) for name in extra}
    for name, value in google_weights(encoder).items():
        name = name.removeprefix("bert/").replace("layer_", "layer.").replace("/", ".")
        if name.endswith("kernel"):
            name, value = name.removesuffix("kernel") + "weight", value.T
        name = name.replace("LayerNorm.gamma", f"LayerNorm.{norms[0]}").replace(
            "LayerNorm.beta", f"LayerNorm.{norms[1]}"
        )
        if name.startswith("embeddings") and name.endswith("_embeddings"):
            name += ".weight"
        tensors[prefix + name] = np.ascontiguousarray(value)
    save_file(tensors, folder / "model.safetensors")


def write_tf1(folder, encoder, architecture, vocab, without=(), extra=()) -> None:
    """Google's first form: a checkpoint of named variables."""
    write_small_files(folder, architecture, vocab, "google")
    values = {name: value for name, value in google_weights(encoder).items() if name not in without}
    values |= {name: np.zeros(3, np.float32) for name in extra}
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )


def make_functional(encoder: Encoder, architecture: BertArchitecture, as_dict: bool = True) -> FunctionalEncoder:
    """Model Garden's functional encoder with the same weights."""
    functional = FunctionalEncoder(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        num_layers=architecture.num_layers,
        num_attention_heads=architecture.num_heads,
        intermediate_size=architecture.intermediate_size,
        activation=export_tfhub_lib.tf_utils.get_activation(_GELU[architecture.activation]),
        max_sequence_length=architecture.max_positions,
        type_vocab_size=architecture.type_vocab_size,
        dict_outputs=as_dict,
    )
    functional.set_weights(encoder.get_weights())
    return functional


def write_tf2(folder, encoder, architecture, vocab, root="encoder", functional=False) -> None:
    """A Model Garden checkpoint: the object graph under `root`, of either of its two encoder classes."""
    write_small_files(folder, architecture, vocab, "google")
    tracked = make_functional(encoder, architecture) if functional else encoder
    tf.train.Checkpoint(**{root: tracked}).save(str(folder / "bert_model.ckpt"))


def write_tfhub(folder, encoder, architecture, vocab, lowercase=True, with_mlm=False) -> None:
    """`folder`/encoder and `folder`/preprocess: SavedModels as tfhub.dev has them, called with dicts."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab_file = folder / "vocab.txt"
    vocab_file.write_text("\n".join(vocab) + "\n")
    functional = make_functional(encoder, architecture)
    checkpoint = tf.train.Checkpoint(encoder=functional, model=functional).save(str(folder / "ckpt"))
    config = BertConfig(
        vocab_size=architecture.vocab_size,
        hidden_size=architecture.hidden_size,
        num_hidden_layers=architecture.num_layers,
        num_attention_heads=architecture.num_heads,
        intermediate_size=architecture.intermediate_size,
        max_position_embeddings=architecture.max_positions,
        type_vocab_size=architecture.type_vocab_size,
    )
    config.hidden_act = _GELU[architecture.activation]
    export_tfhub_lib.export_model(
        str(folder / "encoder"),
        bert_config=config,
        model_checkpoint_path=checkpoint,
        with_mlm=with_mlm,
        vocab_file=str(vocab_file),
        do_lower_case=lowercase,
    )
    export_tfhub_lib.export_preprocessing(
        str(folder / "preprocess"),
        vocab_file=str(vocab_file),
        do_lower_case=lowercase,
        tokenize_with_offsets=False,
        default_seq_length=16,
    )


def write_list_form(folder, encoder, architecture, vocab) -> None:
    """The SavedModel form of 2019: takes [ids, mask, type ids], returns (pooled, sequence), brings its vocabulary."""
    functional = make_functional(encoder, architecture, as_dict=False)
    outputs = functional(functional.inputs)
    sequence, pooled = (
        outputs if isinstance(outputs, (list, tuple)) else (outputs["sequence_output"], outputs["pooled_output"])
    )
    model = tf_keras.Model(functional.inputs, [pooled, sequence])
    folder.mkdir(parents=True, exist_ok=True)
    vocab_file = folder.parent / "vocab.txt"
    vocab_file.write_text("\n".join(vocab) + "\n")
    model.vocab_file = tf.saved_model.Asset(str(vocab_file))
    model.do_lower_case = tf.Variable(False, trainable=False)
    model.save(str(folder), include_optimizer=False, save_format="tf")
