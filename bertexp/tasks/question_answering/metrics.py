"""Quality of answers, of which one batch of windows at a time is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bertexp.tasks.question_answering.answers import (
    Candidates,
    choose_answers,
    cut_bytes,
    exact_match,
    f1_score,
    log_likelihoods,
)

if TYPE_CHECKING:
    from bertexp.tasks.question_answering.task import QuestionAnswering

JUDGES = (f1_score, exact_match)


class QuestionAnsweringMetrics:
    """Loss over the windows, and F1 and exact match over their questions, as SQuAD's official evaluation has them.

    Truths are <object>[batch] of ``WindowTruth``, logits <float32>[batch, seq, 2]. The windows of a question may lie in
    different batches, so what is kept is the best span of each window: where it stands, how likely it is and how good.
    """

    left_out = ""

    def __init__(self, task: QuestionAnswering):
        self._task = task
        self._loss = 0.0
        self._candidates: list[Candidates] = []
        self._judged: list[np.ndarray] = []  # <float64>[batch, 4]: F1 and exact match of the span, and of no answer

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Finds and judges a batch's spans."""
        likely = log_likelihoods(logits, np.array([window.first + len(window.begins) + 1 for window in truth]))
        labels = np.array([(window.start, window.end) for window in truth])
        self._loss -= float(np.take_along_axis(likely, labels[:, None, :], axis=1).mean(axis=2, dtype=np.float64).sum())
        candidates = self._task.find(truth, logits)
        spans = zip(candidates.starts.tolist(), candidates.ends.tolist(), truth, strict=True)
        answers = [(cut_bytes(window.context, start, end), window.answers) for start, end, window in spans]
        self._candidates.append(candidates)
        self._judged.append(
            np.array([[judge(answer, gold) for answer in (text, "") for judge in JUDGES] for text, gold in answers])
        )

    def by_question(self) -> np.ndarray:
        """F1 and exact match <float64>[questions, 2] of the answers, by ascending row."""
        candidates = Candidates(*map(np.concatenate, zip(*self._candidates, strict=True)))
        choice = choose_answers(candidates, self._task.null_answers)
        judged = np.concatenate(self._judged)[choice.windows]
        return np.where(choice.given[:, None], judged[:, :2], judged[:, 2:])

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one window must have been seen."""
        f1, exact = self.by_question().mean(axis=0)
        return {"f1": float(f1), "exact_match": float(exact), "loss": self._loss / sum(map(len, self._judged))}
