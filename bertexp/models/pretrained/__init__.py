"""Encoders with weights from elsewhere, all as native layers where the architecture is BERT's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertexp.config.schema import ModelConfig
from bertexp.errors import WeightsError
from bertexp.interfaces import Encoder
from bertexp.models.encoder import make_encoder
from bertexp.models.poolings.spec import POOLINGS
from bertexp.models.pretrained.names import assign_weights
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.folders import FILES, read_architecture, require_files
from bertexp.models.source.locate import ModelSource, fit_architecture, read_vocabulary


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder, its vocabulary, and the proof that it is what the source holds."""

    encoder: Encoder
    architecture: BertArchitecture | None  # None for an opaque SavedModel
    vocab: tuple[str, ...]
    lowercase: bool
    report: dict[str, Any]  # matched, variables, harmless, left_over; max_difference if the source can be run


def load_encoder(source: ModelSource, config: ModelConfig, seed: int = 42) -> LoadedEncoder:
    """Reads what `source.fetch` brought; the weights of a random source are drawn from `seed`.

    Raises:
      WeightsError: weights are missing or do not fit.
    """
    pooling = POOLINGS[config.pooling or "pooler"]
    output_range = None if pooling.reads == "all" else 1
    if source.kind == "random":
        loaded = _draw(source, config, seed, output_range)
    elif source.kind == "tfhub":
        from bertexp.models.pretrained import tfhub  # tensorflow_hub takes a second to import

        loaded = tfhub.load(source, config, output_range)
    else:
        loaded = _read(source, config, output_range)
    if loaded.architecture is not None and len(loaded.vocab) > loaded.architecture.vocab_size:
        raise WeightsError(
            f"the vocabulary has {len(loaded.vocab)} pieces, but {source.description} has embeddings for "
            f"{loaded.architecture.vocab_size}"
        )
    return loaded


def _draw(source: ModelSource, config: ModelConfig, seed: int, output_range: int | None) -> LoadedEncoder:
    encoder = make_encoder(source.architecture, seed, output_range)
    return LoadedEncoder(encoder, source.architecture, *read_vocabulary(source, config), {})


def _read(source: ModelSource, config: ModelConfig, output_range: int | None) -> LoadedEncoder:
    if source.kind == "google":
        from bertexp.models.pretrained.google import read_weights
    else:
        from bertexp.models.pretrained.huggingface import read_weights
    folder = str(require_files(Path(source.folder), FILES[source.kind]))
    architecture = fit_architecture(config, read_architecture(folder, source.kind), folder)
    encoder = make_encoder(architecture, None, output_range)
    reads_pooler = POOLINGS[config.pooling or "pooler"].reads == "pooler"
    report = assign_weights(encoder.named_weights, read_weights(folder), folder, pooler_needed=reads_pooler)
    return LoadedEncoder(encoder, architecture, *read_vocabulary(source, config), report)
