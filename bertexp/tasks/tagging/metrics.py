"""Quality of tags and of the entities that they spell, of which one batch at a time is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from bertexp.data.formats.tags import entity_types
from bertexp.tasks.tagging.entities import count_entities, precision_recall_f1

if TYPE_CHECKING:
    from bertexp.tasks.tagging.task import Tagging


class TaggingMetrics:
    """Loss of the words that were read; strict precision, recall and F1 of entities and accuracy over all words.

    Truths are <int32>[batch, positions] and logits <float32>[batch, seq, units], as the task describes them. Kept are five
    counts a sentence, three a type of entity and a sum of losses.
    """

    left_out = ""

    def __init__(self, task: Tagging):
        self._task = task
        types = entity_types(task.label_names)
        self.by_type = np.zeros((len(types), 3), np.int64)  # entities found, predicted and true
        self._loss, self._read = 0.0, 0
        self._by_sentence: list[np.ndarray] = []

    @property
    def by_sentence(self) -> np.ndarray:
        """<int64>[sentences, 5]: entities found, predicted and true; words that got their tag, and words."""
        return np.concatenate(self._by_sentence)

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Counts a batch."""
        seen = min(truth.shape[1], logits.shape[1])
        rows, positions = np.nonzero(truth[:, :seen] >= 0)
        likely = log_softmax(logits[rows, positions].astype(np.float64), axis=1)
        self._loss -= float(likely[np.arange(len(rows)), truth[rows, positions]].sum())
        self._read += len(rows)
        true, predicted = self._task.decode(truth, logits)
        entities = count_entities(true, predicted, self._task.label_names)
        self.by_type += entities.sum(axis=0)
        words = [(sum(map(str.__eq__, *pair)), len(pair[0])) for pair in zip(true, predicted, strict=True)]
        self._by_sentence.append(np.concatenate([entities.sum(axis=1), np.array(words, np.int64)], axis=1))

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one word must have been read."""
        precision, recall, f1 = precision_recall_f1(self.by_type.sum(axis=0))
        right, words = self.by_sentence[:, 3:].sum(axis=0)
        values = {
            "loss": self._loss / max(self._read, 1),
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "accuracy": right / max(words, 1),
        }
        return {name: float(value) for name, value in values.items()}
