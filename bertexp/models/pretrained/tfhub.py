"""Encoders from TF-Hub SavedModels: a BERT becomes native layers, anything else stays a hub.KerasLayer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401  registers the operations of preprocessing models
import tf_keras

from bertexp.config.schema import ModelConfig
from bertexp.errors import WeightsError
from bertexp.interfaces import FEATURES
from bertexp.models.encoder import Encoder, make_encoder
from bertexp.models.garden import flat_shape, google_name
from bertexp.models.precision import float32_inference
from bertexp.models.pretrained import LoadedEncoder
from bertexp.models.pretrained.weights import assign_weights, is_harmless, shorten
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.folders import FILES, looks_lowercase, read_vocab, require_files
from bertexp.models.source.locate import ModelSource, fit_architecture
from bertexp.models.source.tokenizers import strips_accents

_TOLERANCE = 1e-4  # largest difference between a SavedModel's outputs and those of the native layers
_EXACT = "/CPU:0"  # an accelerator rounds otherwise (TF32)


class _NoBert(Exception):
    """Why a SavedModel cannot become native layers."""


class SavedModelLayer(tf_keras.layers.Layer):
    """A SavedModel of unknown architecture that is called like an encoder of Model Garden's. Its dropout is its own.

    Args:
      folder: of the SavedModel.
      as_dict: whether it is called with a dict; else with the list [ids, mask, type ids].
    """

    def __init__(self, folder: str, as_dict: bool):
        super().__init__(name="saved_model")
        self.layer = hub.KerasLayer(folder, trainable=True, name="saved_model")
        self._as_dict = as_dict
        self.built = True

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Returns sequence_output <float32>[batch, seq, hidden] and pooled_output <float32>[batch, hidden]."""
        return _call(lambda given: self.layer(given, training=training), inputs, self._as_dict)


def load(source: ModelSource, config: ModelConfig, only_cls: bool) -> LoadedEncoder:
    """Loads a SavedModel that takes word ids, mask and type ids.

    Raises:
      WeightsError: it takes something else, or no vocabulary comes with it.
    """
    folder = source.folder
    try:
        model = tf.saved_model.load(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise WeightsError(
            f"{folder} cannot be loaded as a TensorFlow 2 SavedModel ({error}); fetch it again"
        ) from error
    as_dict = _call_form(model, folder)
    vocab, lowercase = _read_vocabulary(source, config, model)
    try:
        encoder, architecture, report = _make_native(model, as_dict, config, source)
        encoder.only_cls = only_cls
    except _NoBert as error:
        why = f"the SavedModel stays as it is, its layers unknown: {error}; its dropout is its own and does not follow run.seed"
        encoder, architecture, report = Encoder(SavedModelLayer(folder, as_dict), why=why), None, {}
    return LoadedEncoder(encoder, architecture, vocab, lowercase, strips_accents(config, lowercase), report)


def _call(model: Callable[..., Any], inputs: Mapping[str, tf.Tensor], as_dict: bool) -> dict[str, tf.Tensor]:
    """Calls a SavedModel in its form: a dict in and out, or, before 2020, a list in and (pooled, sequence) out."""
    if as_dict:
        outputs = model({name: inputs[name] for name in FEATURES})
    else:
        pooled, sequence = model([inputs[name] for name in FEATURES])
        outputs = {"pooled_output": pooled, "sequence_output": sequence}
    return {name: tf.cast(outputs[name], tf.float32) for name in ("sequence_output", "pooled_output")}


def _call_form(model: Any, folder: str) -> bool:
    """Finds by trying whether a SavedModel is called with a dict."""
    for as_dict in (True, False):
        try:
            _call(model, _probe(vocab_size=2, batch=1, length=1), as_dict)
            return as_dict
        except (ValueError, TypeError, KeyError):
            continue
    raise WeightsError(
        f"{folder} is no encoder of word ids: it takes neither the dict {', '.join(FEATURES)} nor the list of them"
    )


def _probe(vocab_size: int, length: int, batch: int = 3) -> dict[str, tf.Tensor]:
    """A batch of all ids that differ in kind: padded rows, two segments."""
    generator = np.random.default_rng(0)
    mask = (np.arange(length) < generator.integers(length // 2, length + 1, (batch, 1))).astype(np.int32)
    ids = generator.integers(1, vocab_size, (batch, length)) * mask
    types = (np.arange(length) >= length // 3) * mask
    return {name: tf.constant(values, tf.int32) for name, values in zip(FEATURES, (ids, mask, types), strict=True)}


def _make_native(
    model: Any, as_dict: bool, config: ModelConfig, source: ModelSource
) -> tuple[Encoder, BertArchitecture, dict[str, Any]]:
    """Moves the weights into native layers and compares outputs.

    A SavedModel does not say which GELU it computes, so the outputs decide.

    Raises:
      _NoBert: that cannot be done.
      WeightsError: it is a BERT of other sizes than asked for.
    """
    variables = {  # other ones: do_lower_case
        google_name(variable.name): variable
        for variable in getattr(model, "variables", ())
        if variable.dtype.is_floating
    }
    weights = {name: variable.numpy() for name, variable in variables.items() if name.startswith("bert/")}
    unknown = [name for name in variables if name not in weights and not is_harmless(name)]
    if unknown:
        raise _NoBert(f"it has variables that no BERT has ({shorten(unknown)})")
    known = fit_architecture(config, _infer_architecture(weights, source.architecture), source.description)
    weights = {name: value.reshape(flat_shape(name, value.shape)) for name, value in weights.items()}
    probe = _probe(known.vocab_size, length=min(16, known.max_positions))
    with tf.device(_EXACT):
        expected = _call(model, probe, as_dict)
    tokens = tf.cast(probe["input_mask"], tf.float32)[:, :, None]
    difference = np.inf
    for activation in ("gelu_tanh", "gelu_erf", "relu"):
        architecture = replace(known, activation=activation)
        encoder = make_encoder(architecture, seed=None)
        try:
            report = assign_weights(encoder.named_weights, weights, source.description)
        except WeightsError as error:
            raise _NoBert(str(error)) from error
        with tf.device(_EXACT), float32_inference(encoder):
            outputs = encoder(probe)
        in_sequence = tf.reduce_max(tf.abs(outputs["sequence_output"] - expected["sequence_output"]) * tokens)
        in_pooled = tf.reduce_max(tf.abs(outputs["pooled_output"] - expected["pooled_output"]))
        difference = min(difference, float(tf.maximum(in_sequence, in_pooled)))
        if difference <= _TOLERANCE:
            return encoder, architecture, report | {"max_difference": difference}
    raise _NoBert(f"native layers differ from the SavedModel by {difference:.1e}")


def _infer_architecture(weights: Mapping[str, np.ndarray], named: BertArchitecture | None) -> BertArchitecture:
    """Reads the sizes off the weights' shapes; the heads off the query kernel, or the handle where it is flat.

    Raises:
      _NoBert: there are no weights of that name.
    """
    try:
        vocab_size, hidden = weights["bert/embeddings/word_embeddings"].shape
        query = weights["bert/encoder/layer_0/attention/self/query/kernel"]
        layers = [re.match(r"bert/encoder/layer_(\d+)/", name) for name in weights]
        return BertArchitecture(
            vocab_size=vocab_size,
            hidden_size=hidden,
            num_layers=1 + max(int(match.group(1)) for match in layers if match),
            num_heads=query.shape[1] if query.ndim == 3 else named.num_heads if named else hidden // 64,
            intermediate_size=weights["bert/encoder/layer_0/intermediate/dense/kernel"].shape[1],
            max_positions=weights["bert/embeddings/position_embeddings"].shape[0],
            type_vocab_size=weights["bert/embeddings/token_type_embeddings"].shape[0],
        )
    except KeyError as error:
        raise _NoBert("its variables are not a BERT's") from error


def _read_vocabulary(source: ModelSource, config: ModelConfig, model: Any) -> tuple[tuple[str, ...], bool]:
    """Vocabulary and casing: of model.vocab_file, of the preprocessing model, or of the encoder itself."""
    preprocessor, path = None, Path(config.vocab_file or f"{source.folder}/assets/vocab.txt").expanduser()
    if source.preprocessor is not None and Path(source.preprocessor).is_dir():
        files = require_files(Path(source.preprocessor), FILES["tfhub"][:1])
        preprocessor, path = tf.saved_model.load(str(files)), files / "assets" / "vocab.txt"
    if not path.is_file():
        raise WeightsError(f"{path} does not exist: give model.vocab_file, or a WordPiece model.tfhub_preprocess")
    vocab = read_vocab(str(path))
    if config.lowercase is not None:
        return vocab, config.lowercase
    if preprocessor is not None:
        return vocab, _lowers(preprocessor, vocab)
    if config.vocab_file is None and hasattr(model, "do_lower_case"):
        return vocab, bool(model.do_lower_case.numpy())
    return vocab, looks_lowercase(vocab)


def _lowers(preprocessor: Any, vocab: tuple[str, ...]) -> bool:
    """Whether a preprocessing model gives a word and its capitals the same ids."""
    word = next((piece for piece in vocab if re.fullmatch("[a-z]{3,}", piece)), None)
    if word is None:
        return looks_lowercase(vocab)
    ids = preprocessor(tf.constant([word, word.upper()]))["input_word_ids"]
    return bool(tf.reduce_all(ids[0] == ids[1]))
