"""The vector of the first position, [CLS]."""

from __future__ import annotations

from bertexp.models.poolings.spec import Pool


def build(seed: int) -> Pool:
    """Makes it; it has no weights for ``seed`` to decide."""
    return lambda outputs, mask: outputs["sequence_output"][:, 0]
