"""Encoders with weights from elsewhere, all as native layers where the architecture is BERT's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tf_keras

from bertexp.config.schema import ModelConfig
from bertexp.errors import WeightsError
from bertexp.models.architecture import BertArchitecture
from bertexp.models.encoders import make_encoder
from bertexp.models.folders import read_architecture, read_lowercase, read_vocab
from bertexp.models.pretrained import google, huggingface, tfhub
from bertexp.models.pretrained.names import assign_weights
from bertexp.models.sources import ModelSource, fit_architecture


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder, its vocabulary, and the proof that it is what the source holds."""

    encoder: tf_keras.layers.Layer
    architecture: BertArchitecture | None  # None for an opaque SavedModel
    vocab: tuple[str, ...]
    lowercase: bool
    report: dict[str, Any]  # matched, variables, harmless, left_over; max_difference where the source can be run
    native: bool = True


def load_encoder(source: ModelSource, config: ModelConfig, seed: int = 42) -> LoadedEncoder:
    """Reads what `source.fetch` brought; the weights of random sources are drawn from `seed`.

    Raises:
      WeightsError: weights are missing or do not fit.
    """
    output_range = 1 if config.pooling in ("pooler", "cls") else None
    if source.kind == "random":
        encoder = make_encoder(source.architecture, seed, output_range)
        return LoadedEncoder(encoder, source.architecture, _random_vocab(source), bool(source.lowercase), {})
    if source.kind == "tfhub":
        return LoadedEncoder(**tfhub.load(source, config, seed, output_range))
    folder = source.folder
    reader = google if source.kind == "google" else huggingface
    architecture = fit_architecture(config, read_architecture(folder, source.kind), folder)
    encoder = make_encoder(architecture, seed, output_range)
    report = assign_weights(encoder, reader.read_weights(folder), folder, config.pooling == "pooler")
    vocab = read_vocab(config.vocab_file or f"{folder}/vocab.txt")
    if len(vocab) > architecture.vocab_size:
        raise WeightsError(
            f"the vocabulary has {len(vocab)} pieces, but {folder} has embeddings for {architecture.vocab_size}"
        )
    lowercase = read_lowercase(folder) if config.lowercase is None else config.lowercase
    return LoadedEncoder(encoder, architecture, vocab, lowercase, report)


def _random_vocab(source: ModelSource) -> tuple[str, ...]:
    if source.vocab_file is not None:
        return read_vocab(source.vocab_file)
    from bertexp.data.reviews import load_vocab

    return tuple(load_vocab())
