"""What the rooms share and none of them owns: protocols and the names of what passes between them. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    import tensorflow as tf
    import tf_keras

    from bertexp.config.schema import TaskConfig
    from bertexp.serving.saved_model.graph import GraphTokenizer, Signatures
    from bertexp.serving.spec import ServingSpec
    from bertexp.tasks.spec import TaskSpec

FEATURES = ("input_word_ids", "input_mask", "input_type_ids")  # of a batch of tokens, <int32>[batch, seq] each
WORDS = "bert/embeddings/word_embeddings"  # the word table among the named weights of an encoder
LONG_TEXTS = ("truncate_head", "truncate_tail", "head_tail", "windows")  # what is kept of one: dataset.long_text
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")  # of every BERT vocabulary


class RunState(str, Enum):
    """How a run or a sweep's trial stands, in the words of run.json and of the tracked run's tag."""

    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    __str__ = str.__str__


class Logger(Protocol):
    """Where a trainer's metrics go; ``bertexp.tracking`` has the ones there are."""

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Takes metrics named ``split/name`` of an optimizer step."""

    def flush(self) -> None:
        """Keeps them from being lost with this process."""


class Metrics(Protocol):
    """The quality of a split whose batches are seen once, in any order, and not kept."""

    left_out: str  # what is not measured and why, a sentence; "" if nothing is left out

    def update(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """Counts a batch: logits <float32>[batch, …] and what they are judged by, [batch, …]."""

    def result(self) -> dict[str, float]:
        """The metrics of all batches so far, by name."""


@dataclass(frozen=True)
class AnswerColumn:
    """One thing that an exported model says of a row; written to ``bertexp.json``, from which the loader makes answers.

    Attributes:
        name: in the answer.
        output: of the graph ``serving_default``, from which it is taken.
        kind: how. ``plain``: as it is. ``words``: a value for each word. ``by_class``: the numbers of all classes by their
            names. ``of_class``: the number of the class that the output ``of`` names. ``above``: the classes whose number
            is ``threshold`` or more. ``entities``: what tags of the ``scheme`` (IOB2, IOBES, BILOU; None: each tag for
            itself) spell, with the words of it.
        type: of the value in a table, as MLflow names types: string, long, double; ``by_class`` has a column for each class.
    """

    name: str
    output: str
    type: str
    kind: str = "plain"
    of: str | None = None
    threshold: float | None = None
    scheme: str | None = None


class Report(Protocol):
    """What a run shows and keeps of a task's predictions.

    They are read from batches, and written to one file a split; ``path`` is such a file, and ``metrics`` have seen its rows.
    """

    def read(self, truth: np.ndarray, logits: np.ndarray) -> dict[str, pa.Array]:
        """What is kept of a batch until all of its rows have been seen: columns with a value for each example."""

    def finish(self, rows: pa.Table, predicted: pa.Table) -> dict[str, pa.Array]:
        """The file's columns beside the rows' texts: ``label`` (null if unknown), ``predicted``, and what else is known.

        Args:
            rows: rows of the split, all different, ascending.
            predicted: the columns of ``read`` and ``row`` <int64>, for all examples of these rows, by ascending row.
        """

    no_interval: str  # why a metric has none

    def intervals(self, metrics: Any) -> dict[str, tuple[float, float] | None]:
        """95% intervals by metric; ``metrics`` are the task's own."""

    def find_sameness(self, path: Path) -> str:
        """A sentence if rows of several labels all got one answer; else ""."""

    def samples(self, path: Path) -> list[str]:
        """A few predictions as lines for the terminal."""

    def draw(self, metrics: Any, path: Path, figures: Path) -> None:
        """Writes pictures of a labelled split into the folder ``figures``."""


class Task(Protocol):
    """What is predicted: the head's size, the loss, the metrics and the answer that a model ships with."""

    spec: TaskSpec  # what can be said of the task without TensorFlow
    settings: TaskConfig
    label_names: tuple[str, ...]
    units: int  # logits of a text, or of each position of it
    main_metric: str
    batch_metric: str  # what `score` sums, shown while training
    first_bias: float  # around which the logits begin

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], summed over all that counts in each example."""

    def score(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """<float32>[batch], ``batch_metric`` summed the same way."""

    def weights(self, labels: tf.Tensor) -> tf.Tensor:
        """<float32>[batch]: how much counts in each example; means divide by it."""

    def make_metrics(self) -> Metrics:
        """The quality of one pass over a split."""

    def make_report(self) -> Report:
        """What is shown and kept of its predictions."""

    def answers(self, truth: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """<float32>[rows, …]: the numbers of its answer that an export must reproduce."""

    def make_signatures(self, model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
        """The functions that the exported model serves, ``serving_default`` among them."""


class EncoderLayers(NamedTuple):
    """The Keras layers of an encoder from below; what cannot be told apart is left empty."""

    embeddings: Sequence[Any] = ()
    transformer: Sequence[Any] = ()
    pooler: Any | None = None


class Encoder(Protocol):
    """A Keras layer from tokens to vectors: what a model, a run and a picture ask of it."""

    fallback: str | None  # why it is computed in a slower way than a BERT; None if it is not
    only_cls: bool  # whether a BERT's last layer computes [CLS] alone
    closed_gradients: bool  # whether a BERT trains with gradients in closed form
    trainable: bool
    trainable_variables: Sequence[Any]
    variables: Sequence[Any]
    compute_dtype: str

    @property
    def layers(self) -> EncoderLayers:
        """Its layers, to freeze, count and draw them."""

    @property
    def named_weights(self) -> Mapping[str, Any]:
        """Its variables by the names of google-research/bert; empty if they cannot be exchanged one by one."""

    @property
    def frozen_depth(self) -> int:
        """How much of it, from below, can be run apart because it does not learn.

        0 nothing, 1 the embeddings, 1 + n also n layers.
        """

    def replaced(self, weights: Mapping[str, Any]) -> AbstractContextManager[None]:
        """While it lasts, these stand in for the named weights of the same names."""

    def run_frozen(self, inputs: Mapping[str, Any]) -> Any:
        """The hidden states <float32>[batch, seq, hidden] that enter the first layer that learns, from tokens."""

    def __call__(
        self, inputs: Mapping[str, Any], training: bool = False, dropout_seed: Any = None
    ) -> Mapping[str, Any]:
        """Returns sequence_output <float32>[batch, seq, hidden] and pooled_output <float32>[batch, hidden]."""
