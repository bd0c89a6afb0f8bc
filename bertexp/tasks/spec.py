"""What the other rooms ask of a task before TensorFlow is there. Light: builders import what they build when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertexp.config.task import TaskConfig

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.interfaces import Task

LONG_TEXTS = ("truncate_head", "truncate_tail", "head_tail", "windows")  # the values of dataset.long_text


class TaskSpec:
    """A task as it is seen from outside of its folder; its facts and methods are those of one answer a text.

    ``register_task`` makes an instance of a subclass known by its ``name``: as ``task=<name>`` it can then be chosen.

    Attributes:
        name: how users name it.
        help: what is predicted, in a sentence.
        settings: the class of its settings, ``config.task``.
        metrics: of a labelled split; the first one is the main metric unless ``task.main_metric`` names another.
        lower_is_better: those of them of which a lower value is better.
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
        """The task with the classes that the data have. Imports TensorFlow."""
        raise NotImplementedError
