"""From start and end logits to answers, and how good answers are. NumPy and SciPy only."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, no English articles, single spaces (SQuAD's official evaluation)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(answer: str, gold: Sequence[str]) -> float:
    """1.0 where the normalized answer is one of the gold ones; of an unanswerable question (none) the empty one is."""
    return float(normalize_answer(answer) in _normalized(gold))


def f1_score(answer: str, gold: Sequence[str]) -> float:
    """F1 of the words that the answer shares with a gold one, at its best over them; 0/1 where either has no words."""
    words = normalize_answer(answer).split()
    return max(_overlap(words, other.split()) for other in _normalized(gold))


JUDGES = {"f1": f1_score, "exact_match": exact_match}


def _normalized(gold: Sequence[str]) -> list[str]:
    return [text for text in map(normalize_answer, gold) if text] or [""]


def _overlap(words: list[str], gold: list[str]) -> float:
    if not words or not gold:
        return float(words == gold)
    return 2 * sum((Counter(words) & Counter(gold)).values()) / (len(words) + len(gold))


def best_spans(
    logits: np.ndarray, firsts: np.ndarray, counts: np.ndarray, max_answer_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The likeliest span of every window, among those of context pieces that are not too long.

    Args:
        logits: <float32>[windows, seq, 2], of starts and ends; what stands behind a window's last [SEP] is not read.
        firsts: <int>[windows], position of the first context piece.
        counts: <int>[windows], context pieces.
        max_answer_length: in pieces.

    Returns:
        Positions of its first and last piece <int64>[windows]; the log probability of both <float32>[windows], -inf where
        the window shows no context; the same of [CLS], which stands for "not here".
    """
    position = np.arange(logits.shape[1])
    after = (firsts + counts)[:, None]
    likely = log_softmax(np.where((position <= after)[..., None], logits, -np.inf).astype(np.float32), axis=1)
    context = (position >= firsts[:, None]) & (position < after)
    starts, ends = (np.where(context, likely[..., i], -np.inf).astype(np.float32) for i in (0, 1))
    padded = np.pad(ends, [(0, 0), (0, max_answer_length - 1)], constant_values=-np.inf)
    reachable = np.lib.stride_tricks.sliding_window_view(padded, max_answer_length, axis=1)
    totals = starts + reachable.max(axis=2)  # of the best end for each start
    window, start = np.arange(len(logits)), totals.argmax(axis=1)
    end = start + reachable[window, start].argmax(axis=1)
    return start, end, totals[window, start], likely[:, 0].sum(axis=1)


class Candidates(NamedTuple):
    """What each of n windows answers to its question."""

    rows: np.ndarray  # <int64>[n], the question, as a row of its split
    firsts: np.ndarray  # <int64>[n], the byte of the context at which the window begins
    starts: np.ndarray  # <int64>[n], bytes of the context at which the likeliest span begins and ends
    ends: np.ndarray
    scores: np.ndarray  # <float32>[n], log probabilities of the span and of [CLS], as of ``best_spans``
    null_scores: np.ndarray


class Choice(NamedTuple):
    """The answer to each of m questions, by ascending row."""

    windows: np.ndarray  # <int64>[m], the candidate with the likeliest span; of equals the one that comes first
    given: np.ndarray  # <bool>[m], whether that span is the answer; otherwise the context holds none
    starts: np.ndarray  # <int64>[m], bytes of the context at which the answer begins and ends; 0 and 0 for none
    ends: np.ndarray
    chances: np.ndarray  # <float32>[m], probability of the answer in its window


def choose_answers(candidates: Candidates, null_answers: bool) -> Choice:
    """The best of each question's windows, which may come in any order.

    Args:
        null_answers: whether there may be no answer: there is none if every window has [CLS] above the likeliest span.
    """
    order = np.lexsort((candidates.firsts, -candidates.scores, candidates.rows))
    begins = np.unique(candidates.rows[order], return_index=True)[1]
    windows = order[begins]
    scores, nulls = candidates.scores[windows], np.minimum.reduceat(candidates.null_scores[order], begins)
    given = np.isfinite(scores) & ~(null_answers & (nulls > scores))
    chances = np.exp(np.where(given | (not null_answers), scores, nulls))
    return Choice(windows, given, candidates.starts[windows] * given, candidates.ends[windows] * given, chances)


def cut_bytes(text: str, start: int, end: int) -> str:
    """The part of a text between two of its bytes in UTF-8."""
    return text.encode()[start:end].decode()
