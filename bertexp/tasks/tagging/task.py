"""A tag for each word (named entities, parts of speech and the like): loss, decoding, metrics, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from scipy.special import softmax

from bertexp.data.formats.tags import OUTSIDE, entity_types, scheme_of
from bertexp.data.table import TextDataset
from bertexp.reports.intervals import Interval, ratio_interval
from bertexp.reports.statistics import f1_of_sums
from bertexp.serving.saved_model.pyfunc import find_entities
from bertexp.tasks.base import BaseTask, PredictionsReport, draw_counted_bars, verdict
from bertexp.tasks.tagging.signature import make_signatures
from bertexp.tasks.tagging.spec import TaggingConfig, TaggingSpec

Tags = list[list[str]]  # of each sentence
Entity = tuple[str, int, int]  # type, first word, word after the last
_WIDTH = 110


def build(settings: TaggingConfig, dataset: TextDataset) -> Tagging:
    """The task with what the data have to say."""
    return Tagging(dataset.label_names, settings.main_metric)


class Tagging(BaseTask):
    """One tag out of ``label_names`` for each word, read at the word's first piece.

    Labels are <int32>[batch, seq], truths <int32>[rows, positions]: the tag of a word where it has one, -1 where no word is
    judged (special tokens, padding, a word's other pieces), -2 for a word whose tag is unknown. In truths the words that
    were cut follow after the last position that has logits: they count as tagged O.
    """

    spec = TaggingSpec()
    batch_metric = "accuracy"
    make_signatures = staticmethod(make_signatures)

    def __init__(self, label_names: Sequence[str], main_metric: str | None = None):
        super().__init__(TaggingConfig(main_metric=main_metric), label_names)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats, summed over each row's labelled pieces, <float32>[batch]."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
        return tf.reduce_sum(tf.where(labels >= 0, losses, 0.0), axis=1)

    def weights(self, labels: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], labelled pieces of each row."""
        return tf.reduce_sum(tf.cast(labels >= 0, tf.float32), axis=1)

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], words of each row that got their tag."""
        hits = tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels
        return tf.reduce_sum(tf.cast(hits, tf.float32), axis=1)

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Probabilities <float32>[rows, words of the longest sentence, tags]; 0 of words that were cut, and of padding."""
        rows, positions = np.nonzero(truth != -1)
        counts = np.bincount(rows, minlength=len(truth))
        words = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        probabilities = np.zeros((len(truth), counts.max(initial=0), self.units), np.float32)
        read = positions < logits.shape[1]
        probabilities[rows[read], words[read]] = softmax(logits[rows[read], positions[read]], axis=-1)
        return probabilities

    def decode(self, truth: np.ndarray, logits: np.ndarray) -> tuple[Tags, Tags]:
        """The true and the predicted tags of each sentence's words; "" for an unknown one, O for words that were cut.

        Args:
            truth: <int32>[rows, positions].
            logits: <float32>[rows, seq, units].
        """
        predicted = np.full(truth.shape, self.units, np.int64)
        seen = min(truth.shape[1], logits.shape[1])
        predicted[:, :seen] = logits[:, :seen].argmax(axis=-1)
        rows, positions = np.nonzero(truth != -1)
        bounds = np.cumsum(np.bincount(rows, minlength=len(truth)))[:-1]
        names = np.array([*self.label_names, OUTSIDE, ""], dtype=object)  # truths of -2 and what was cut come last
        true = np.where(truth == -2, self.units + 1, truth)[rows, positions]
        return tuple(
            [sentence.tolist() for sentence in np.split(names[tags], bounds)]
            for tags in (true, predicted[rows, positions])
        )

    def make_metrics(self) -> TaggingMetrics:
        """Of one pass over a split."""
        return TaggingMetrics(self)

    def make_report(self) -> TaggingReport:
        """Of its predictions, with pictures."""
        return TaggingReport(self)


def entity_sets(sentences: Sequence[Sequence[str]], scheme: str | None) -> list[set[Entity]]:
    """Returns the entities of each sentence of tags, as an exported model finds them too; strictly by the scheme."""
    return [set(find_entities(tags, scheme)) for tags in sentences]


def count_entities(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], tags: Sequence[str]
) -> np.ndarray:
    """Counts <int64>[sentences, types, 3]: entities found with type and bounds, predicted and true ones.

    Args:
        true: a list of tags for each sentence.
        tags: all there are; the types are ``entity_types(tags)``.
    """
    scheme = scheme_of(tags)
    indices = {name: index for index, name in enumerate(entity_types(tags))}
    counts = np.zeros((len(true), len(indices), 3), np.int64)
    pairs = zip(entity_sets(true, scheme), entity_sets(predicted, scheme), strict=True)
    for row, (there, given) in enumerate(pairs):
        for column, entities in enumerate((there & given, given, there)):
            for name, _, _ in entities:
                counts[row, indices[name], column] += 1
    return counts


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
        self._loss += float(np.sum(self._task.loss(truth[:, :seen], logits[:, :seen]), dtype=np.float64))
        self._read += np.count_nonzero(truth[:, :seen] >= 0)
        true, predicted = self._task.decode(truth, logits)
        entities = count_entities(true, predicted, self._task.label_names)
        self.by_type += entities.sum(axis=0)
        words = [(sum(map(str.__eq__, *pair)), len(pair[0])) for pair in zip(true, predicted, strict=True)]
        self._by_sentence.append(np.concatenate([entities.sum(axis=1), np.array(words, np.int64)], axis=1))

    def result(self) -> dict[str, float]:
        """The metrics by name; at least one word must have been read."""
        found, predicted, true, right, words = self.by_sentence.sum(axis=0)
        values = {
            "loss": self._loss / max(self._read, 1),
            "f1": f1_of_sums(np.array([found, predicted, true])),
            "precision": found / max(predicted, 1),
            "recall": found / max(true, 1),
            "accuracy": right / max(words, 1),
        }
        return {name: float(value) for name, value in values.items()}


class TaggingReport(PredictionsReport):
    """F1 of each type of entity, sentences with their entities in brackets."""

    answered = "word was tagged"

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        _, predicted = self._task.decode(truth, logits)
        return {"predicted": pa.array([" ".join(tags) for tags in predicted], pa.string())}

    def intervals(self, metrics: TaggingMetrics) -> dict[str, Interval | None]:
        hits, predicted, true, right, words = metrics.by_sentence.T
        return {"f1": ratio_interval(hits, (predicted + true) / 2), "accuracy": ratio_interval(right, words)}

    def missed(self, rows: pa.RecordBatch) -> np.ndarray:
        """Those with other entities than labelled."""
        differ = super().missed(rows).copy()
        true, predicted = (self._entities(rows[name].filter(differ).to_pylist()) for name in ("label", "predicted"))
        differ[differ] = [a != b for a, b in zip(true, predicted, strict=True)]
        return differ

    def answers(self, spelled: pa.Array) -> set[str]:
        """The different tags."""
        return {tag for tags in super().answers(spelled) for tag in tags.split(" ")}

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        spelled = [row["predicted"], row["label"]] if missed else [row["predicted"]]
        lines = zip((verdict(row, missed), " true"), self._entities(spelled), strict=False)
        return [f"{start}  {_in_brackets(row['words'], entities)}" for start, entities in lines]

    def draw(self, metrics: TaggingMetrics, path: Path, figures: Path) -> None:
        sums = metrics.by_type
        counts = dict(zip(entity_types(self._task.label_names), sums[:, 2], strict=True))
        draw_counted_bars(counts, f1_of_sums(sums), "F1 of each type (entities of it)", figures / "entities.png")

    def _entities(self, spelled: Sequence[str]) -> list[set[Entity]]:
        return entity_sets([tags.split(" ") for tags in spelled], scheme_of(self._task.label_names))


def _in_brackets(words: Sequence[str], entities: set[Entity]) -> str:
    """``[Ann Smith person] won``, from the first entity's neighbourhood on, cut to a line."""
    spelled = list(words)
    for kind, begin, end in entities:
        spelled[begin] = f"[{spelled[begin]}"
        spelled[end - 1] = f"{spelled[end - 1]} {kind}]"
    start = max(min((begin for _, begin, _ in entities), default=0) - 4, 0)
    line = ("… " if start else "") + " ".join(spelled[start:])
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
