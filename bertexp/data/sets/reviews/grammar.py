"""Writes short film reviews whose label follows from what they say.

The grammar (``grammar.txt``) is context-free, and each of its symbols carries a meaning, praise or blame. A review's
verdict is drawn first and handed down: a rule marks every symbol and word in it as meaning the same (``=``), the
opposite (``!``), or something about another matter (``~``). So "nobody would call <whole> {!adj}" is praise with "dull"
and blame with "funny", and no word outside the slots tells the classes apart.

Expanding a rule gives *templates*, sentences with open slots; each template belongs to one split only. Filling the slots
takes opinion words (``opinions.txt``), which the splits share, and fillers (``fillers_<split>.txt``): titles, people,
places and the like, which they do not.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable
from itertools import repeat
from pathlib import Path
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

_FOLDER = Path(__file__).parent
_SYMBOL = re.compile(r"<([=!~]?)(\w+)>")
_SLOT = re.compile(r"\{([=!~]?)(\w+)\}")
_FLIP = str.maketrans("=!", "!=")
_POLARITIES = ("negative", "positive")

# How often each construction carries the verdict, in parts of their sum.
CONSTRUCTIONS = {"plain": 32, "affirming": 13, "negation": 24, "but": 12, "quoting": 11, "would_have": 8}
# The shapes of a review and their shares; "verdict" stands for one of the constructions above.
SHAPES = {
    "verdict verdict": 30,
    "verdict verdict verdict": 30,
    "setting verdict verdict": 20,
    "verdict aside verdict": 10,
    "aside verdict verdict": 10,
}
_OWNERS = ("train", "test", "val", "train", "train", "test", "train", "train")  # of a rule's templates, in turn


def read_sections(name: str) -> dict[str, list[str]]:
    """Reads one of this folder's text files: ``[section]`` heads, one entry a line or several divided by ``|``."""
    sections: dict[str, list[str]] = {}
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            entries = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            entries.extend(entry.strip() for entry in line.split("|"))
    return sections


def make_templates(symbol: str, split: str) -> list[tuple[int, list[str]]]:
    """Returns the weight of each of a symbol's rules and its templates that belong to ``split``.

    A rule's templates are put in an order that only their text decides and given to the splits in turn, so every rule
    with several templates occurs in all splits, and no template in two.
    """
    rules = read_sections("grammar.txt")
    weighted = []
    for entry in rules[symbol]:
        weight, rule = _weighted(entry)
        templates = sorted(set(_expansions(rule, rules)), key=lambda t: (zlib.crc32(t.encode()), t))
        owned = [t for i, t in enumerate(templates) if _OWNERS[i % len(_OWNERS)] == split]
        if owned:
            weighted.append((weight, owned))
    return weighted


def _weighted(entry: str) -> tuple[int, str]:
    weight, _, rest = entry.partition(" ")
    return (int(weight), rest) if weight.isdigit() else (1, entry)


def _expansions(rule: str, rules: dict[str, list[str]]) -> list[str]:
    """Every sentence with open slots that a rule can become."""
    symbol = _SYMBOL.search(rule)
    if symbol is None:
        return [rule]
    texts = [text for entry in rules[symbol[2]] for text in _expansions(_weighted(entry)[1], rules)]
    if symbol[1] == "!":
        texts = [text.translate(_FLIP) for text in texts]
    rests = _expansions(rule[symbol.end() :], rules)
    return [rule[: symbol.start()] + text + rest for text in texts for rest in rests]


class Deck(Generic[T]):
    """Deals entries in random order, each as often as its weight says (once by default), before it deals one again.

    Only ``Random.random`` is used: it alone is promised to give the same numbers in every Python version.
    """

    def __init__(self, entries: Iterable[T], random: Random, weights: Iterable[int] = repeat(1)):
        self._entries = [entry for entry, weight in zip(entries, weights) for _ in range(weight)]  # noqa: B905
        self._random = random
        self._rest: list[T] = []

    def deal(self, avoid: Collection[T] = ()) -> T:
        """Returns the next entry that is not in ``avoid``, or any where all are."""
        for _ in range(2):
            for position, entry in enumerate(self._rest):
                if entry not in avoid:
                    return self._rest.pop(position)
            self._rest = sorted(self._entries, key=lambda _: self._random.random())
        return self._rest.pop()


class ReviewWriter:
    """Writes the reviews of one split from its own templates and fillers and the shared opinion words."""

    def __init__(self, split: str, seed: int):
        self._random = random = Random(f"{split}-{seed}")
        words = read_sections("opinions.txt") | read_sections(f"fillers_{split}.txt")
        self._words = {name: Deck(entries, random) for name, entries in words.items()}
        self._shapes = Deck(SHAPES, random, SHAPES.values())
        self._constructions = Deck(CONSTRUCTIONS, random, CONSTRUCTIONS.values())
        self._rules: dict[str, Deck[Deck[str]]] = {}  # a symbol's rules, each of which deals its templates
        for symbol in (*CONSTRUCTIONS, "setting", "aside"):
            weights, owned = zip(*make_templates(symbol, split), strict=True)
            self._rules[symbol] = Deck([Deck(templates, random) for templates in owned], random, weights)

    def write(self, verdict: int) -> str:
        """Returns one review; ``verdict`` is 0 for blame and 1 for praise."""
        known: dict[str, str] = {}
        sentences = []
        for kind in self._shapes.deal().split():
            symbol = self._constructions.deal() if kind == "verdict" else kind
            template = self._rules[symbol].deal().deal()
            sentences.append(_polish(self._fill(template, verdict, known)))
        return " ".join(sentences)

    def _fill(self, template: str, verdict: int, known: dict[str, str]) -> str:
        """Fills the slots; ``known`` holds what the review has said so far."""

        def word(slot: re.Match[str]) -> str:
            mark, name = slot.groups()
            if mark:
                polarity = {"=": verdict, "!": 1 - verdict, "~": int(self._random.random() < 0.5)}[mark]
                entry = self._words[f"{name} {_POLARITIES[polarity]}"].deal(avoid=known.values())
                known[f"opinion {len(known)}"] = entry
                return entry
            if name == "film":
                return self._film(known)
            if name == "was":  # agrees with the thing
                return known["was"]
            entry = self._words["film" if name == "other" else name].deal(avoid=known.values())
            known[name], _, known["was"] = entry.partition("/")
            return known[name]

        return _SLOT.sub(word, template)

    def _film(self, known: dict[str, str]) -> str:
        """The title at first mention, mostly; then a pronoun, or "this film" where another thing could be meant."""
        if "film" in known:
            clear = not known.keys() & {"other", "thing", "place"}
            return "it" if clear and self._random.random() < 0.7 else "this film"
        is_bare = self._random.random() < 0.3
        known["film"] = "this film" if is_bare else self._words["film"].deal(avoid=known.values())
        return known["film"]


def _polish(sentence: str) -> str:
    """Puts capitals at the starts of sentences and "an" before vowels."""
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
    return re.sub(r"(^\W*|[.?!] )([a-z])", lambda match: match[1] + match[2].upper(), sentence)
