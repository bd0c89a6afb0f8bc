"""The report on answers that are parts of a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertexp.data.table import is_labelled
from bertexp.reports.pictures.figures import draw_bars
from bertexp.reports.statistics import bootstrap_sums, choose_samples, quote, wilson_interval
from bertexp.tasks.question_answering.answers import exact_match, f1_score

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts
    from bertexp.training.evaluation import Outputs

QUESTION_WORDS = ("what", "which", "who", "whose", "whom", "when", "where", "why", "how")


class QuestionAnsweringReport:
    """Answers beside the gold ones, F1 by the word that asks."""

    def __init__(self, parts: Parts, split: str, outputs: Outputs):
        task = parts.task
        self._answers = task.choose(outputs.truth, outputs.logits)
        self._rows = parts.dataset.take(split, self._answers.rows)
        self._questions = self._rows["text"].to_pylist()
        self._labelled, self._main = is_labelled(self._rows), task.main_metric
        gold = {window.row: window.answers for window in outputs.truth}
        pairs = [(text, gold[row]) for row, text in zip(self._answers.rows.tolist(), self._answers.texts, strict=True)]
        self._f1, self._exact = (np.array([judge(*pair) for pair in pairs]) for judge in (f1_score, exact_match))

    def intervals(self) -> dict[str, tuple[float, float]]:
        n = len(self._f1)
        found = {
            "f1": bootstrap_sums(lambda sums: sums[:, 0] / n, self._f1[:, None]),
            "exact_match": wilson_interval(int(self._exact.sum()), n),
        }
        return {self._main: found[self._main]} | found if self._main in found else found

    def samples(self) -> list[str]:
        lines = []
        wrong = (self._exact < 1) & self._labelled
        gold = self._gold()
        for row in choose_samples(wrong):
            verdict = ("wrong" if wrong[row] else "right") if self._labelled else "?"
            end = f"  (true: {quote(gold[row], 36) if gold[row] else 'no answer'})" if wrong[row] else ""
            text = self._answers.texts[row]
            start = f"{verdict:5}  {quote(text, 36) if text else 'no answer'} {self._answers.scores[row]:4.0%}  "
            lines.append(start + quote(self._questions[row], max(120 - len(start) - len(end), 20)) + end)
        return lines

    def draw(self, figures: Path) -> None:
        kinds = np.array([_question_word(question) for question in self._questions])
        names, counts = np.unique(kinds, return_counts=True)
        scores = [self._f1[kinds == name].mean() for name in names]
        labels = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True)]
        draw_bars(labels, scores, "F1 by question word (questions of it)", figures / "question_words.png")

    def table(self) -> pa.Table:
        """``start`` and ``end`` are in bytes of the context; "" stands for no answer."""
        answers = self._answers
        columns = {
            "label": pa.array(self._gold(), pa.string()),
            "predicted": pa.array(answers.texts, pa.string()),
            "score": pa.array(answers.scores),
            "start": pa.array(answers.starts),
            "end": pa.array(answers.ends),
        }
        if self._labelled:
            columns |= {"f1": pa.array(self._f1), "exact_match": pa.array(self._exact)}
        table = self._rows.drop_columns(["label"])
        for name, values in columns.items():
            table = table.append_column(name, values)
        return table

    def _gold(self) -> list[str | None]:
        """The first gold answer of each row, "" for an unanswerable question, None where it is not known."""
        labels = self._rows["label"].to_pylist()
        return [None if label is None else label[0]["text"] if label else "" for label in labels]


def _question_word(question: str) -> str:
    """The first word that asks, ``how many`` and ``how much`` as one; ``other`` where none does."""
    words = question.lower().replace("?", " ").split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in QUESTION_WORDS:
            return f"{word} {following}" if (word, following) in (("how", "many"), ("how", "much")) else word
    return "other"
