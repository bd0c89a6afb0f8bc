"""Makes the embedded WordPiece vocabulary, bertexp/data/vocab/english_small.txt.

    python scripts/make_vocab.py           # prints where it differs from the file in the package
    python scripts/make_vocab.py --write   # writes the file

Whole words: common English (scripts/common_english.txt) and what the training reviews say outside their fillers.
Pieces: merges learned from these words by byte-pair encoding (Sennrich et al. 2016, algorithm 1), in WordPiece's
notation. Fillers (titles, names, places) are kept out, so that they are split into pieces in every split alike.
All ASCII characters and the usual typographic ones are pieces too, at the start of a word and inside it: English text
meets no [UNK], lower-cased or not.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bertexp.data.sets.reviews.grammar import read_sections  # noqa: E402

TARGET = ROOT / "bertexp" / "data" / "vocab" / "english_small.txt"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHARACTERS = [chr(code) for code in range(33, 127)] + list("‘’“”–—…£€§°´«»")
MERGES = 600


def whole_words() -> list[str]:
    """Returns the words that stay in one piece, sorted."""
    lines = (ROOT / "scripts" / "common_english.txt").read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if not line.startswith("#")]
    for sections in (read_sections("grammar.txt"), read_sections("opinions.txt")):
        texts += [re.sub(r"[{<].*?[}>]", " ", entry) for entries in sections.values() for entry in entries]
    return sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())})


def learn_pieces(words: list[str], merges: int) -> list[str]:
    """Returns the symbols of ``merges`` byte-pair merges over ``words``, in the order in which they were made."""
    splits = [[word[0], *("##" + letter for letter in word[1:])] for word in words]
    pieces = []
    for _ in range(merges):
        pairs = Counter(pair for split in splits for pair in itertools.pairwise(split))
        first, second = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = first + second.removeprefix("##")
        pieces.append(merged)
        for split in splits:
            position = 0
            while position < len(split) - 1:
                if (split[position], split[position + 1]) == (first, second):
                    split[position : position + 2] = [merged]
                position += 1
    return pieces


def make_vocab() -> list[str]:
    """Returns the vocabulary in the order of its ids."""
    words = whole_words()
    letters = CHARACTERS + ["##" + character for character in CHARACTERS]
    return list(dict.fromkeys(SPECIAL + letters + learn_pieces(words, MERGES) + words))


def main() -> int:
    vocab = make_vocab()
    text = "".join(piece + "\n" for piece in vocab)
    if "--write" in sys.argv:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(text, encoding="utf-8")
        print(f"{len(vocab)} pieces written to {TARGET.relative_to(ROOT)}")
        return 0
    if TARGET.read_text(encoding="utf-8") == text:
        print(f"{TARGET.relative_to(ROOT)} is up to date ({len(vocab)} pieces)")
        return 0
    print(f"{TARGET.relative_to(ROOT)} differs from what the script makes: python scripts/make_vocab.py --write")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
