"""Writes the part of docs/reviews.md that is measured: sizes, what logistic regression reaches, 20 samples.

python scripts/make_reviews_page.py           # prints the part
python scripts/make_reviews_page.py --write   # puts it into the page
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pyarrow as pa
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bertexp.data.sets.reviews import LABEL_NAMES, make_reviews  # noqa: E402
from bertexp.data.sets.reviews.grammar import CONSTRUCTIONS, make_templates  # noqa: E402

PAGE = ROOT / "docs" / "reviews.md"
MARK = "<!-- from here on made by scripts/make_reviews_page.py -->\n"


def bag_of_words_accuracy(splits: dict[str, pa.Table], longest: int) -> float:
    """Test accuracy of logistic regression on 1- to ``longest``-grams, the best of four regularizations."""
    vectorizer = TfidfVectorizer(ngram_range=(1, longest), token_pattern=r"\b\w+\b")
    train = vectorizer.fit_transform(splits["train"]["text"].to_pylist())
    test = vectorizer.transform(splits["test"]["text"].to_pylist())
    labels = {split: table["label"].to_numpy() for split, table in splits.items()}
    return max(
        float(LogisticRegression(C=c, max_iter=500).fit(train, labels["train"]).score(test, labels["test"]))
        for c in (0.3, 1.0, 3.0, 10.0)
    )


def count_templates(split: str) -> int:
    """Number of different sentences with open slots that a split may use."""
    symbols = (*CONSTRUCTIONS, "setting", "aside")
    return len({t for symbol in symbols for _, owned in make_templates(symbol, split) for t in owned})


def make_part() -> str:
    """The measured part of the page."""
    splits = make_reviews()
    lines = ["| split | reviews | templates of its own |", "|---|---|---|"]
    lines += [f"| {split} | {table.num_rows:,} | {count_templates(split):,} |" for split, table in splits.items()]
    lines += [
        "",
        "Test accuracy of logistic regression (the best of four regularizations, chosen on the test split itself):",
        f"{bag_of_words_accuracy(splits, 1):.1%} on words, {bag_of_words_accuracy(splits, 3):.1%} on 1- to 3-grams.",
        "",
        "## Twenty reviews, drawn at random from the test split",
        "",
    ]
    rows = Random(0).sample(range(splits["test"].num_rows), 20)
    for row in rows:
        label = LABEL_NAMES[splits["test"]["label"][row].as_py()]
        lines.append(f"- *{label}* {splits['test']['text'][row].as_py()}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    part = make_part()
    if "--write" in sys.argv:
        PAGE.write_text(PAGE.read_text(encoding="utf-8").split(MARK)[0] + MARK + part, encoding="utf-8")
    else:
        print(part)
