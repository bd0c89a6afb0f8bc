"""Tags of words: the schemes in which they spell entities, and the order in which they stand.

In IOB2 the tag ``B-PER`` begins an entity of the type PER, ``I-PER`` goes on with it and ``O`` is outside of every entity
(Ramshaw and Marcus 1995, Sang and Veenstra 1999). IOBES also marks the last word (``E-``) and entities of a single word
(``S-``); BILOU calls these ``L-`` and ``U-`` (Ratinov and Roth 2009).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

OUTSIDE = "O"
_SCHEMES = {"IOB2": "BI", "IOBES": "BIES", "BILOU": "BILU"}  # scheme -> its prefixes, as they follow one another
_FORM = re.compile(r"([BIESLU])(?:-(.+))?")


def split_tag(tag: str) -> tuple[str, str]:
    """Returns prefix and entity type: ``B-PER`` -> (B, PER); ``O`` and tags of no scheme have the prefix O."""
    form = _FORM.fullmatch(tag)
    return (form[1], form[2] or "") if form else (OUTSIDE, "" if tag == OUTSIDE else tag)


def scheme_of(tags: Iterable[str]) -> str | None:
    """Returns IOB2, IOBES or BILOU; None for tags that know no entities of several words, such as parts of speech."""
    inside = {tag for tag in tags if tag != OUTSIDE}
    prefixes = {split_tag(tag)[0] for tag in inside}
    fitting = (scheme for scheme, known in _SCHEMES.items() if inside and prefixes <= set(known))
    return next(fitting, None)


def entity_types(tags: Iterable[str]) -> tuple[str, ...]:
    """Returns the types of entities, sorted; of tags without a scheme every tag but O is a type."""
    tags = set(tags) - {OUTSIDE}
    return tuple(sorted({split_tag(tag)[1] for tag in tags} if scheme_of(tags) else tags))


def sort_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Returns each tag once: O first, then type by type, in the order B, I, E or L, S or U."""
    tags = set(tags)
    if scheme_of(tags) is None:
        return tuple(sorted(tags, key=lambda tag: (tag != OUTSIDE, tag)))
    return tuple(sorted(tags, key=lambda tag: (tag != OUTSIDE, split_tag(tag)[1], "BIELSU".find(split_tag(tag)[0]))))
