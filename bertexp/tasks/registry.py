"""The tasks there are, in the order in which they are listed. A new one is a folder, and a line here or ``register_task``."""

from __future__ import annotations

from dataclasses import fields

from bertexp.errors import ConfigError, did_you_mean
from bertexp.tasks.classification.spec import ClassificationSpec
from bertexp.tasks.multi_label.spec import MultiLabelSpec
from bertexp.tasks.question_answering.spec import QuestionAnsweringSpec
from bertexp.tasks.regression.spec import RegressionSpec
from bertexp.tasks.spec import TaskSpec
from bertexp.tasks.tagging.spec import TaggingSpec

_tasks: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (ClassificationSpec(), MultiLabelSpec(), RegressionSpec(), TaggingSpec(), QuestionAnsweringSpec())
}


def register_task(spec: TaskSpec) -> None:
    """Makes a task of one's own known to this process: ``task=<spec.name>`` chooses it.

    Raises:
        ConfigError: there is another task of that name.
    """
    known = _tasks.setdefault(spec.name, spec)
    if type(known) is not type(spec):
        raise ConfigError(f"there is a task {spec.name} already; give yours another name")


def all_tasks() -> list[TaskSpec]:
    """Every task: those of the package, then those that were registered."""
    return list(_tasks.values())


def tasks_for(label_form: str) -> str:
    """``task=a or b``: the tasks that learn from labels of this form."""
    return f"task={' or '.join(task.name for task in all_tasks() if task.label_form == label_form)}"


def foreign_settings(name: str) -> list[str]:
    """The settings, such as ``task.threshold``, that other tasks have and this one has not."""
    own = {field.name for field in fields(find_task(name).settings)}
    return [f"task.{field.name}" for task in all_tasks() for field in fields(task.settings) if field.name not in own]


def find_task(name: str) -> TaskSpec:
    """The task of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in _tasks:
        raise ConfigError(f"task={name} is not one of {', '.join(_tasks)}{did_you_mean(name, _tasks)}")
    return _tasks[name]
