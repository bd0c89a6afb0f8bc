"""Entities in sequences of tags, as the CoNLL shared tasks count them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bertexp.data.formats.tags import entity_types, scheme_of
from bertexp.serving.saved_model.pyfunc import find_entities

Entity = tuple[str, int, int]  # type, first word, word after the last


def entity_sets(sentences: Sequence[Sequence[str]], scheme: str | None) -> list[set[Entity]]:
    """Returns the entities of each sentence of tags, as an exported model finds them too; strictly by the scheme."""
    return [set(find_entities(tags, scheme)) for tags in sentences]


def count_entities(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], tags: Sequence[str]
) -> np.ndarray:
    """Counts <int64>[sentences, types, 3]: entities found with type and bounds, predicted and true ones.

    Args:
        true: a list of tags for each sentence.
        tags: all there are; the types are ``entity_types(tags)``.
    """
    scheme = scheme_of(tags)
    indices = {name: index for index, name in enumerate(entity_types(tags))}
    counts = np.zeros((len(true), len(indices), 3), np.int64)
    pairs = zip(entity_sets(true, scheme), entity_sets(predicted, scheme), strict=True)
    for row, (there, given) in enumerate(pairs):
        for column, entities in enumerate((there & given, given, there)):
            for name, _, _ in entities:
                counts[row, indices[name], column] += 1
    return counts
