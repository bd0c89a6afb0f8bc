"""What tasks have in common: what follows from their logits; ROC AUC; reports, which say rows in words and choose some to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertexp.config.schema import TaskConfig
from bertexp.errors import ConfigError
from bertexp.reports.predictions import ROW, read_rows, read_slices
from bertexp.reports.statistics import choose_samples, quote
from bertexp.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import tensorflow as tf
    import tf_keras

    from bertexp.serving.saved_model.graph import GraphTokenizer, Outputs, Signatures
    from bertexp.serving.spec import ServingSpec

RANKED_CLASSES = 100  # ROC AUC ranks every row's score of every class; of more classes it is left out
SHOWN_CLASSES = 100  # up to so many, each has a column of its probability; above, the likeliest are listed
LISTED_CLASSES = 10


class BaseTask:
    """See ``interfaces.Task``; what a subclass leaves out is as of one answer a text, by probabilities of classes.

    Args:
        settings: the task's own.
        label_names: the classes, if there are any.

    Raises:
        ConfigError: the metric that chooses the checkpoint is one that is left out.
    """

    spec: TaskSpec
    first_bias = 0.0

    def __init__(self, settings: TaskConfig, label_names: Sequence[str] = ()):
        self.settings, self.label_names = settings, tuple(label_names)
        self.main_metric = settings.main_metric or self.spec.metrics[0]
        self.units = self.spec.count_units(settings, len(self.label_names))
        if self.main_metric == "roc_auc" and (why := ranking_left_out(len(self.label_names))):
            raise ConfigError(f"task.main_metric={self.main_metric} cannot be had: {why}; choose another one")

    def weights(self, labels: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], all 1: each example counts once."""
        import tensorflow as tf

        return tf.ones(tf.shape(labels)[:1])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, classes] from logits <float32>[rows, units]."""
        raise NotImplementedError

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The probabilities <float32>[rows, classes]."""
        return self.probabilities(logits)

    def serve(self, logits: tf.Tensor) -> Outputs:
        """What ``serving_default`` gives, from logits <float32>[rows, units]; TensorFlow operations."""
        raise NotImplementedError

    def make_signatures(self, model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
        """``serving_default``, which takes a text or a pair, and ``ids``."""
        from bertexp.serving.saved_model.graph import serve_texts

        return serve_texts(model, tokenizer, spec, self.serve)


def ranking_left_out(classes: int) -> str:
    """Why ROC AUC is not measured for so many classes; "" if it is."""
    if classes <= RANKED_CLASSES:
        return ""
    return f"roc_auc is measured for up to {RANKED_CLASSES} classes, and there are {classes:,}"


def roc_auc(batches: Sequence[tuple[np.ndarray, np.ndarray]], classes: np.ndarray | slice = slice(None)) -> float:
    """The mean over ``classes`` of each one's ROC AUC against the rest.

    Args:
        batches: members <bool>[batch, classes] and scores <float>[batch, classes]. A score is a logit or a log-probability:
            probabilities near 1 are all equal to it in float32, and have no ranks any more.
    """
    from sklearn.metrics import roc_auc_score  # here, since a run needs it first after an epoch

    members, scores = (np.concatenate(parts)[:, classes] for parts in zip(*batches, strict=True))
    return roc_auc_score(members, scores, average="macro")


class PredictionsReport:
    """See ``interfaces.Report``; ``read`` gives the file's columns of each row as they are."""

    answered = "row was given"
    no_interval = "no row has anything to count"  # why a metric has none
    judged_by: tuple[str, ...] = ("label", "predicted")  # columns that tell right from wrong

    def __init__(self, task: BaseTask):
        self._task: Any = task  # a subclass asks its own kind of task
        self._names = pa.array(task.label_names, pa.string())

    def finish(self, rows: pa.Table, predicted: pa.Table) -> dict[str, pa.Array]:
        """``label``, ``predicted`` and the other columns of ``read``."""
        columns = {"label": self.spell_labels(rows)}
        return columns | {name: predicted[name] for name in predicted.column_names if name != ROW}

    def spell_labels(self, rows: pa.Table) -> pa.Array:
        """The labels in words, null where unknown."""
        spec, names = self._task.spec, self._task.label_names
        return pa.array([spec.spell(label, names) for label in rows["label"].to_pylist()], pa.string())

    def find_missed(self, path: Path) -> np.ndarray:
        """<bool>[rows]: which rows of a file of predictions were not predicted as labelled."""
        return np.concatenate([self.missed(rows) for rows in read_slices(path, self.judged_by)])

    def missed(self, rows: pa.RecordBatch) -> np.ndarray:
        """The same of some rows, with the columns ``judged_by``."""
        return pc.fill_null(pc.not_equal(rows["label"], rows["predicted"]), False).to_numpy(zero_copy_only=False)

    def find_sameness(self, path: Path) -> str:
        """Says so if rows of several labels all got one answer, the sign of a model that has learned nothing yet; else ""."""
        labels, predicted = set(), set()
        for rows in read_slices(path, ("label", "predicted")):
            labels |= self.answers(rows["label"])
            predicted |= self.answers(rows["predicted"])
            if len(predicted) > 1:
                return ""
        if len(labels) < 2:
            return ""
        answer = next(iter(predicted)) or "no answer"
        return f"every {self.answered} {answer}; train longer (trainer.max_epochs) or raise optimizer.learning_rate"

    def answers(self, spelled: pa.Array) -> set[Any]:
        """The different answers in a column ``label`` or ``predicted``."""
        return set(spelled.drop_null().unique().to_pylist())

    def samples(self, path: Path) -> list[str]:
        """A few rows of a file of predictions, up to half of them missed ones."""
        missed = self.find_missed(path)
        chosen = choose_samples(missed)
        shown = map(self.show, read_rows(path, chosen), missed[chosen])
        return [line for lines in shown for line in lines]

    def show(self, row: Mapping[str, Any], missed: bool) -> list[str]:
        """A row of the file as lines for the terminal."""
        return [sample_line(row, missed, row["predicted"], row["label"])]


def draw_counted_bars(counts: Mapping[str, int], values: Sequence[float] | np.ndarray, title: str, path: Path) -> None:
    """Draws a bar for each name in ``counts``, which stand in brackets behind the names."""
    from bertexp.reports.pictures.figures import draw_bars  # matplotlib is needed first after a fit

    draw_bars([f"{name} ({count:,})" for name, count in counts.items()], values, title, path)


def sample_line(row: Mapping[str, Any], missed: bool, predicted: str, label: str, width: int = 100) -> str:
    """``wrong  predicted  "the row's text"  (true: label)``; the text is cut if the line is longer than ``width``."""
    start, end = f"{verdict(row, missed)}  {predicted}  ", f"  (true: {label})" if missed else ""
    return start + quote(row["text"], max(width - len(start) - len(end), 20)) + end


def verdict(row: Mapping[str, Any], missed: bool) -> str:
    """right, wrong, or ? for a row without label; five characters wide."""
    return "?    " if row["label"] is None else "wrong" if missed else "right"


def chance_columns(chances: np.ndarray, names: pa.Array) -> dict[str, pa.Array]:
    """Probabilities <float32>[rows, classes] as columns ``p_<class>``.

    Of more than ``SHOWN_CLASSES`` classes the likeliest ones, as two lists a row: ``likeliest``, the classes, and
    ``probabilities``; pandas' ``explode`` makes rows of both.
    """
    rows, classes = chances.shape
    if classes <= SHOWN_CLASSES:
        return {f"p_{name}": pa.array(chances[:, index]) for index, name in enumerate(names.to_pylist())}
    top = np.argpartition(-chances, LISTED_CLASSES, axis=1)[:, :LISTED_CLASSES]
    order = np.argsort(-np.take_along_axis(chances, top, axis=1), axis=1, kind="stable")
    top = np.take_along_axis(top, order, axis=1)
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * LISTED_CLASSES)
    values = {"likeliest": names.take(top.ravel()), "probabilities": np.take_along_axis(chances, top, axis=1).ravel()}
    return {name: pa.ListArray.from_arrays(offsets, pa.array(flat)) for name, flat in values.items()}
