"""Encoders with weights from elsewhere, all as native layers where the architecture is BERT's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bertexp.config.schema import ModelConfig
from bertexp.errors import WeightsError
from bertexp.interfaces import Encoder
from bertexp.models.encoder import make_encoder
from bertexp.models.poolings.spec import POOLINGS
from bertexp.models.pretrained.weights import assign_weights, read_google, read_huggingface
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.locate import ModelSource, read_source, read_vocabulary


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder, its vocabulary, and the proof that it is what the source holds."""

    encoder: Encoder
    architecture: BertArchitecture | None  # None for an opaque SavedModel
    vocab: tuple[str, ...]
    lowercase: bool
    strip_accents: bool  # where texts are put into lower case
    report: dict[str, Any]  # matched, variables, harmless, left_over; max_difference if the source can be run


def load_encoder(source: ModelSource, config: ModelConfig, seed: int = 42) -> LoadedEncoder:
    """Reads what `source.fetch` brought; the weights of a random source are drawn from `seed`.

    Raises:
      WeightsError: weights are missing or do not fit.
    """
    source = read_source(source, config)
    pooling = POOLINGS[config.pooling or "pooler"]
    only_cls = pooling.reads != "all"
    if source.kind == "tfhub":
        from bertexp.models.pretrained import tfhub  # tensorflow_hub takes a second to import

        loaded = tfhub.load(source, config, only_cls)
    else:
        is_random = source.kind == "random"
        encoder, report = make_encoder(source.architecture, seed if is_random else None, only_cls), {}
        if not is_random:
            weights = (read_google if source.kind == "google" else read_huggingface)(source.folder)
            report = assign_weights(encoder.named_weights, weights, source.folder, pooling.reads == "pooler")
        loaded = LoadedEncoder(encoder, source.architecture, *read_vocabulary(source), report)
    if loaded.architecture is not None and len(loaded.vocab) > loaded.architecture.vocab_size:
        raise WeightsError(
            f"the vocabulary has {len(loaded.vocab)} pieces, but {source.description} has embeddings for "
            f"{loaded.architecture.vocab_size}"
        )
    return loaded
