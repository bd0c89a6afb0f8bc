"""Entities in sequences of tags, found by seqeval as the CoNLL shared tasks find them, and the scores that they give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from bertexp.tasks.tagging.tags import OUTSIDE, entity_types, scheme_of, split_tag

_SCHEMES = {"IOB2": IOB2, "IOBES": IOBES, "BILOU": BILOU}
Entity = tuple[str, int, int]  # type, first word, word after the last


def find_entities(sentences: Sequence[Sequence[str]], scheme: str | None) -> list[set[Entity]]:
    """Returns the entities of each sentence of tags.

    Strictly by the scheme: a tag that goes on with an entity that did not begin counts for nothing. Of tags without a
    scheme (parts of speech) each word that is not tagged O is an entity, so that the F1 of such tags is their accuracy.
    """
    if scheme is None:
        return [{(tag, i, i + 1) for i, tag in enumerate(tags) if tag != OUTSIDE} for tags in sentences]
    found = Entities([list(tags) for tags in sentences], _SCHEMES[scheme]).entities
    return [
        {(split_tag(tags[entity.start])[1], entity.start, entity.end) for entity in entities}
        for tags, entities in zip(sentences, found, strict=True)
    ]


def count_entities(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], tags: Sequence[str]
) -> np.ndarray:
    """Counts <int64>[sentences, types, 3]: entities found with type and bounds, predicted and true ones.

    Args:
        true: a list of tags for each sentence.
        tags: all there are; the types are ``entity_types(tags)``.
    """
    scheme = scheme_of(tags)
    places = {name: place for place, name in enumerate(entity_types(tags))}
    counts = np.zeros((len(true), len(places), 3), np.int64)
    pairs = zip(find_entities(true, scheme), find_entities(predicted, scheme), strict=True)
    for row, (there, given) in enumerate(pairs):
        for column, entities in enumerate((there & given, given, there)):
            for name, _, _ in entities:
                counts[row, places[name], column] += 1
    return counts


def precision_recall_f1(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1, <float64>[...] each, of counts <int64>[..., 3] as above; 0 where undefined."""
    hits, given, there = np.moveaxis(counts, -1, 0)
    return hits / np.maximum(given, 1), hits / np.maximum(there, 1), 2 * hits / np.maximum(given + there, 1)
