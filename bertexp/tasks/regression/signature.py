"""What a model of regression answers: a number for each text or pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tf_keras

from bertexp.serving.saved_model.packing import GraphTokenizer
from bertexp.serving.saved_model.text_signatures import serve_texts

if TYPE_CHECKING:
    from bertexp.serving.spec import ServingSpec, Signatures


def make_signatures(model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
    """``serving_default`` gives score <float32>[N]."""
    return serve_texts(model, tokenizer, spec, lambda logits: {"score": logits[:, 0]})
