"""The report on answers that are parts of a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.reports.intervals import Interval, ratio_interval, share_interval
from bertexp.reports.predictions import ROW, read_slices
from bertexp.reports.statistics import quote
from bertexp.tasks.question_answering.answers import JUDGES, Candidates, choose_answers, cut_bytes
from bertexp.tasks.report import PredictionsReport, draw_counted_bars, sample_line

if TYPE_CHECKING:
    from bertexp.tasks.question_answering.task import QuestionAnsweringMetrics

QUESTION_WORDS = ("what", "which", "who", "whose", "whom", "when", "where", "why", "how")
_WIDTH = 120


class QuestionAnsweringReport(PredictionsReport):
    """Answers beside the gold ones, F1 by the word that asks."""

    judged_by = ("exact_match",)

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        candidates = self._task.find(truth, logits)._asdict()
        return {name: pa.array(values) for name, values in candidates.items() if name != "rows"}

    def finish(self, rows: pa.Table, predicted: pa.Table) -> dict[str, pa.Array]:
        """``start`` and ``end`` are in bytes of the context; "" stands for no answer."""
        candidates = Candidates(*(predicted[name].to_numpy() for name in (ROW, *Candidates._fields[1:])))
        choice = choose_answers(candidates, self._task.null_answers)
        texts = list(map(cut_bytes, rows["text_pair"].to_pylist(), choice.starts.tolist(), choice.ends.tolist()))
        labels = rows["label"].to_pylist()
        gold = [None if label is None else [answer["text"] for answer in label] for label in labels]
        columns = {
            "label": pa.array([None if all_ is None else (all_ or [""])[0] for all_ in gold], pa.string()),
            "predicted": pa.array(texts, pa.string()),
            "score": pa.array(choice.chances),
            "start": pa.array(choice.starts),
            "end": pa.array(choice.ends),
        }
        for name, judge in JUDGES.items():
            judged = [None if all_ is None else judge(text, all_) for text, all_ in zip(texts, gold, strict=True)]
            columns[name] = pa.array(judged, pa.float64())
        return columns

    def intervals(self, metrics: QuestionAnsweringMetrics) -> dict[str, Interval | None]:
        f1, exact = metrics.by_question().T
        return {
            "f1": ratio_interval(f1, np.ones(len(f1))),
            "exact_match": share_interval(exact.mean(), len(exact)),
        }

    def missed(self, rows: pa.RecordBatch) -> np.ndarray:
        """Those whose answer is none of the gold ones."""
        return pc.fill_null(pc.less(rows["exact_match"], 1), False).to_numpy(zero_copy_only=False)

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        gold, answer = (quote(row[name], 36) if row[name] else "no answer" for name in ("label", "predicted"))
        return [sample_line(row, missed, f"{answer} {row['score']:4.0%}", gold, _WIDTH)]

    def draw(self, metrics: QuestionAnsweringMetrics, path: Path, figures: Path) -> None:
        scores: dict[str, list[float]] = defaultdict(list)
        for rows in read_slices(path, ("text", "f1")):
            for question, f1 in zip(rows["text"].to_pylist(), rows["f1"].to_pylist(), strict=True):
                scores[_question_word(question)].append(f1)
        counts = {kind: len(scores[kind]) for kind in sorted(scores)}
        means = [float(np.mean(scores[kind])) for kind in counts]
        draw_counted_bars(counts, means, "F1 by question word (questions of it)", figures / "question_words.png")


def _question_word(question: str) -> str:
    """The first word that asks, ``how many`` and ``how much`` as one; ``other`` where none does."""
    words = question.lower().replace("?", " ").split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in QUESTION_WORDS:
            return f"{word} {following}" if (word, following) in (("how", "many"), ("how", "much")) else word
    return "other"
