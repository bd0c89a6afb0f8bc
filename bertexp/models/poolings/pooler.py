"""The encoder's own pooler, a dense layer with tanh over [CLS], as BERT was pretrained (Devlin et al. 2019)."""

from __future__ import annotations

from bertexp.models.poolings.spec import Pool


def build(seed: int) -> Pool:
    """Makes it; it has no weights for ``seed`` to decide."""
    return lambda outputs, mask: outputs["pooled_output"]
