"""What loading an encoder gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tf_keras

from bertexp.models.source.architecture import BertArchitecture


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder, its vocabulary, and the proof that it is what the source holds."""

    encoder: tf_keras.layers.Layer
    architecture: BertArchitecture | None  # None for an opaque SavedModel
    vocab: tuple[str, ...]
    lowercase: bool
    report: dict[str, Any]  # matched, variables, harmless, left_over; max_difference where the source can be run
    native: bool = True
