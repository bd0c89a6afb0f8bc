"""Tagged sentences that a small model can learn: a first name, or a first and a last name, follow "Mr" or "Mrs"."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WORDS = ["the", "film", "was", "good", "bad", "and", "not", "a", "story", "of", "love", "by", "in", "this", "house"]
FIRST, LAST = ["anna", "bob", "clara", "david"], ["miller", "frank", "young", "grant"]


def make_sentences(count: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Words and IOB2 tags of each sentence."""
    generator = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        words = generator.choice(WORDS, generator.integers(3, 9)).tolist()
        tags = ["O"] * len(words)
        place = int(generator.integers(0, len(words)))
        name = [str(generator.choice(FIRST)), *generator.choice(LAST, generator.integers(0, 2)).tolist()]
        words[place:place] = [str(generator.choice(["Mr", "Mrs"])), *name]
        tags[place:place] = ["O", "B-PER", *["I-PER"] * (len(name) - 1)]
        sentences.append((words, tags))
    return sentences


def write_conll(path: Path, sentences: list[tuple[list[str], list[str]]]) -> Path:
    blocks = ("".join(f"{word}\t{tag}\n" for word, tag in zip(*sentence, strict=True)) for sentence in sentences)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def write_splits(folder: Path, train: int = 256, other: int = 48) -> Path:
    """``folder`` with train.txt, dev.txt and test.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate({"train": train, "dev": other, "test": other}.items()):
        write_conll(folder / f"{name}.txt", make_sentences(count, seed))
    return folder
