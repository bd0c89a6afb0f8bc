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
from bertexp.reports.pictures.figures import draw_bars
from bertexp.reports.predictions import ROW, read_slices
from bertexp.reports.statistics import quote
from bertexp.tasks.question_answering.answers import Candidates, choose_answers, cut_bytes, exact_match, f1_score
from bertexp.tasks.question_answering.metrics import QuestionAnsweringMetrics
from bertexp.tasks.report import PredictionsReport, verdict

if TYPE_CHECKING:
    from bertexp.tasks.question_answering.task import QuestionAnswering

QUESTION_WORDS = ("what", "which", "who", "whose", "whom", "when", "where", "why", "how")
_WIDTH = 120


class QuestionAnsweringReport(PredictionsReport):
    """Answers beside the gold ones, F1 by the word that asks."""

    judged_by = ("exact_match",)

    def __init__(self, task: QuestionAnswering):
        self._task = task

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        candidates = self._task.find(truth, logits)._asdict()
        return {name: pa.array(values) for name, values in candidates.items() if name != "rows"}

    def finish(self, rows: pa.Table, predicted: pa.Table) -> dict[str, pa.Array]:
        """``start`` and ``end`` are in bytes of the context; "" stands for no answer."""
        candidates = Candidates(*(predicted[name].to_numpy() for name in (ROW, *Candidates._fields[1:])))
        choice = choose_answers(candidates, self._task.null_answers)
        starts, ends = (place[choice.windows] * choice.given for place in (candidates.starts, candidates.ends))
        texts = list(map(cut_bytes, rows["text_pair"].to_pylist(), starts.tolist(), ends.tolist()))
        labels = rows["label"].to_pylist()
        gold = [None if label is None else [answer["text"] for answer in label] for label in labels]
        columns = {
            "label": pa.array([None if all_ is None else (all_ or [""])[0] for all_ in gold], pa.string()),
            "predicted": pa.array(texts, pa.string()),
            "score": pa.array(choice.chances),
            "start": pa.array(starts),
            "end": pa.array(ends),
        }
        for name, judge in (("f1", f1_score), ("exact_match", exact_match)):
            judged = [None if all_ is None else judge(text, all_) for text, all_ in zip(texts, gold, strict=True)]
            columns[name] = pa.array(judged, pa.float64())
        return columns

    def intervals(self, metrics: QuestionAnsweringMetrics) -> dict[str, Interval | None]:
        f1, exact = metrics.by_question().T
        intervals = {
            "f1": ratio_interval(f1, np.ones(len(f1))),
            "exact_match": share_interval(exact.mean(), len(exact)),
        }
        main = self._task.main_metric
        return {main: intervals[main]} | intervals if main in intervals else intervals

    def missed(self, rows: pa.RecordBatch) -> np.ndarray:
        """Those whose answer is none of the gold ones."""
        return pc.fill_null(pc.less(rows["exact_match"], 1), False).to_numpy(zero_copy_only=False)

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        gold = quote(row["label"], 36) if row["label"] else "no answer"
        end = f"  (true: {gold})" if missed else ""
        answer = quote(row["predicted"], 36) if row["predicted"] else "no answer"
        start = f"{verdict(row, missed)}  {answer} {row['score']:4.0%}  "
        return [start + quote(row["text"], max(_WIDTH - len(start) - len(end), 20)) + end]

    def draw(self, metrics: QuestionAnsweringMetrics, path: Path, figures: Path) -> None:
        scores: dict[str, list[float]] = defaultdict(list)
        for rows in read_slices(path, ("text", "f1")):
            for question, f1 in zip(rows["text"].to_pylist(), rows["f1"].to_pylist(), strict=True):
                scores[_question_word(question)].append(f1)
        kinds = sorted(scores)
        labels = [f"{kind} ({len(scores[kind]):,})" for kind in kinds]
        means = [float(np.mean(scores[kind])) for kind in kinds]
        draw_bars(labels, means, "F1 by question word (questions of it)", figures / "question_words.png")


def _question_word(question: str) -> str:
    """The first word that asks, ``how many`` and ``how much`` as one; ``other`` where none does."""
    words = question.lower().replace("?", " ").split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in QUESTION_WORDS:
            return f"{word} {following}" if (word, following) in (("how", "many"), ("how", "much")) else word
    return "other"
