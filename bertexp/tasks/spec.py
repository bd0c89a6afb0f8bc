"""What the other rooms ask of a task. Light: what needs TensorFlow lies in modules beside a task's spec."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from bertexp.config.schema.task import TaskConfig

if TYPE_CHECKING:
    import tf_keras

    from bertexp.data.table import TextDataset
    from bertexp.interfaces import AnswerColumn, Task
    from bertexp.serving.packing import GraphTokenizer
    from bertexp.serving.spec import ServingSpec, Signatures

LONG_TEXTS = ("truncate_head", "truncate_tail", "head_tail", "windows")  # the values of dataset.long_text


class TaskSpec:
    """A task as it is seen from outside of its folder; what a subclass leaves out is as of one answer a text.

    The folder is a package with these modules. They are imported when they are needed:

        spec.py       a subclass of this class and the dataclass of the task's settings; imports no TensorFlow
        task.py       ``build(settings, dataset)``: loss, metrics
        signature.py  ``make_signatures(model, tokenizer, spec)``: the graphs that the exported model serves

    ``register_task`` makes an instance known by its ``name``: ``task=<name>`` then chooses it.

    Attributes:
        name: how users name it.
        help: what is predicted, in a sentence.
        settings: the class of its settings, ``config.task``.
        metrics: of a labelled split; the first one is the main metric unless ``task.main_metric`` names another.
        lower_is_better: those of them of which a lower value is better.
        numbers: the output of the exported model that must equal the trained model's.
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
    numbers = "probabilities"
    reads_words = False
    reads_positions = False
    reads_windows = False
    long_texts: tuple[str, ...] = LONG_TEXTS
    long_text_rule: tuple[str, str] = ("", "")

    def better(self, metric: str) -> str:
        """``max`` or ``min``: which values of a metric, also spelled ``val/<metric>``, are the better ones."""
        return "min" if metric.rpartition("/")[2] in self.lower_is_better else "max"

    def count_units(self, settings: TaskConfig, classes: int) -> int:
        """How many logits the head gives, for each text or each position of it."""
        return classes

    def build(self, settings: TaskConfig, dataset: TextDataset) -> Task:
        """The task with what the data have to say, such as the classes."""
        return self._beside("task").build(settings, dataset)

    def inputs(self, has_pair: bool) -> tuple[str, ...]:
        """The names of the texts that the exported model takes, in the order of the columns text and text_pair."""
        return ("text", "text_pair") if has_pair else ("text",)

    def example(self, has_pair: bool) -> tuple[str, ...]:
        """A text for each of ``inputs``, for MLflow's example of a request."""
        texts = ("a quiet film that stays with you", "the film is quiet and hard to forget")
        return texts if has_pair else texts[:1]

    def answer(self, settings: TaskConfig, label_names: Sequence[str]) -> tuple[AnswerColumn, ...]:
        """What the exported model says of a row."""
        raise NotImplementedError

    def make_signatures(self, model: tf_keras.Model, tokenizer: GraphTokenizer, spec: ServingSpec) -> Signatures:
        """The functions that the exported model serves, ``serving_default`` among them."""
        return self._beside("signature").make_signatures(model, tokenizer, spec)

    def _beside(self, name: str) -> ModuleType:
        """A module of the task's folder."""
        return importlib.import_module(f"{type(self).__module__.rpartition('.')[0]}.{name}")
