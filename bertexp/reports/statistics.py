"""F1 of counts, and a few predictions to look at."""

from __future__ import annotations

import numpy as np


def f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """F1 <float64>[…] of hits, predicted and true ones <float>[…, 3]; 0 where there are none at all."""
    hits, predicted, true = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    return 2 * hits / np.maximum(predicted + true, 1)


def choose_samples(missed: np.ndarray, count: int = 6, seed: int = 0) -> np.ndarray:
    """Row numbers <int64>[count] to show, up to half of them ``missed`` <bool>[n]; those come last."""
    order = np.random.default_rng(seed).permutation(len(missed))
    wrong = order[missed[order]][: count // 2]
    return np.concatenate([order[~missed[order]][: count - len(wrong)], wrong])


def quote(text: str, width: int) -> str:
    """Returns the text on one line, in quotes, cut at a word."""
    text = " ".join(text.split())
    if len(text) > width - 2:
        text = text[: width - 3].rsplit(" ", 1)[0] + "…"
    return f'"{text}"'
