"""What the other rooms ask of a task. Light: what needs TensorFlow lies in modules beside a task's spec."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bertexp.config.schema import TaskConfig
from bertexp.interfaces import LONG_TEXTS

if TYPE_CHECKING:
    import pyarrow as pa

    from bertexp.data.examples import Examples
    from bertexp.data.examples.module import DataModule
    from bertexp.data.sets.spec import DataSet
    from bertexp.data.table import TextDataset
    from bertexp.interfaces import AnswerColumn, Task


class TaskSpec:
    """A task as it is seen from outside of its folder; what a subclass leaves out is as of one answer a text.

    The folder is a package with these modules. They are imported when they are needed:

        spec.py      a subclass of this class and the dataclass of the task's settings; imports no TensorFlow
        task.py      ``build(settings, dataset)``: loss, metrics, report, served graphs (``interfaces.Task``)
        examples.py  the class that ``own_examples`` names, if it does

    ``register_task`` makes an instance known by its ``name``: ``task=<name>`` then chooses it.

    Attributes:
        name: how users name it.
        help: what is predicted, in a sentence.
        settings: the class of its settings, ``config.task``.
        metrics: of a labelled split; the first one is the main metric unless ``task.main_metric`` names another.
        lower_is_better: those of them of which a lower value is better.
        label_form: what it learns from, and so which data sets it goes with: "class" (one of a row), "classes" (any number
            of them), "number", "tags" (a class for each word), "answers" (parts of a row's second text).
        has_classes: whether labels are names out of a list.
        nouns: what a label is called, and what many are.
        sample_names: the classes of rehearsals; (): those of the data set, or two.
        numbers: the output of the exported model that must equal the trained model's.
        own_examples: the class that makes examples of a ``DataModule`` and the name of a split; "": an example is a text or
            pair with its label.
        reads_words: whether rows are sentences in words, with a label for each.
        reads_positions: whether it reads the encoder's output at every position, and not one vector of a text.
        reads_windows: whether it reads the whole of a long text, in windows of which each is an example.
        long_texts: the values of ``dataset.long_text`` that it can go with.
        long_text_rule: why it goes with no others, and what to do; for messages.
    """

    name: str
    help: str
    settings: type[TaskConfig]
    metrics: tuple[str, ...]
    lower_is_better: tuple[str, ...] = ("loss",)
    label_form = "class"
    has_classes = True
    nouns: tuple[str, str] = ("class", "classes")
    sample_names: tuple[str, ...] = ()
    numbers = "probabilities"
    own_examples = ""
    reads_words = False
    reads_positions = False
    reads_windows = False
    long_texts: tuple[str, ...] = LONG_TEXTS
    long_text_rule: tuple[str, str] = ("", "")

    def better(self, metric: str) -> str:
        """``max`` or ``min``: which values of a metric, also spelled ``val/<metric>``, are the better ones."""
        return "min" if metric.rpartition("/")[2] in self.lower_is_better else "max"

    def count_units(self, settings: Any, classes: int) -> int:
        """How many logits the head gives, for each text or each position of it."""
        return classes

    def build(self, settings: TaskConfig, dataset: TextDataset) -> Task:
        """The task with what the data have to say, such as the classes."""
        return self._beside("task").build(settings, dataset)

    def build_examples(self, source: DataModule, split: str) -> Examples:
        """What is learned from in a split."""
        if self.own_examples:
            return getattr(self._beside("examples"), self.own_examples)(source, split)
        return source.build_texts(split)

    def spell(self, label: Any, label_names: Sequence[str]) -> str | None:
        """A row's label, as it stands in the table, in words; None if it is unknown."""
        return label_names[label] if label >= 0 else None

    def sample_label(self, row: int, classes: int) -> Any:
        """A label for a row of a rehearsal, as it stands in the table."""
        return row % classes

    def sample_rows(self, texts: Sequence[str], dataset: DataSet, classes: int, has_pair: bool) -> pa.Table:
        """Rows for a rehearsal in place of ``dataset``, made of texts; columns as of ``TextDataset``.

        Here each text, or each with the one after it, and its ``sample_label``.
        """
        import pyarrow as pa

        from bertexp.data.labels import make_labels

        columns = {"text": texts} | ({"text_pair": [*texts[1:], texts[0]]} if has_pair else {})
        labels = [self.sample_label(row, classes) for row in range(len(texts))]
        return pa.table(columns | {"label": pa.array(labels, make_labels(self.label_form).type)})

    def inputs(self, has_pair: bool) -> tuple[str, ...]:
        """The names of the texts that the exported model takes, in the order of the columns text and text_pair."""
        return ("text", "text_pair") if has_pair else ("text",)

    def example(self, has_pair: bool) -> tuple[str, ...]:
        """A text for each of ``inputs``, for MLflow's example of a request."""
        texts = ("a quiet film that stays with you", "the film is quiet and hard to forget")
        return texts if has_pair else texts[:1]

    def placeholders(self, has_pair: bool) -> tuple[str, ...]:
        """What stands for each of ``inputs`` in a command to try."""
        return ("first text", "second text") if has_pair else ("your text",)

    def describe_answer(self, units: int) -> tuple[str, str]:
        """What the picture of the model says of the answer, and how it is made of so many logits."""
        return "probabilities", "softmax"

    def answer(self, settings: Any, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        """What the exported model says of a row."""
        raise NotImplementedError

    def _beside(self, name: str) -> Any:
        """A module of the task's folder."""
        return import_module(f"{type(self).__module__.rpartition('.')[0]}.{name}")
