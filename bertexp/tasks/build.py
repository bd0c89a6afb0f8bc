"""The task of a run, from its settings."""

from __future__ import annotations

from collections.abc import Sequence

from bertexp.config.task import TaskConfig
from bertexp.tasks.base import Task
from bertexp.tasks.classification.task import Classification
from bertexp.tasks.multi_label.task import MultiLabel
from bertexp.tasks.question_answering.task import QuestionAnswering
from bertexp.tasks.regression.task import Regression
from bertexp.tasks.tagging.task import Tagging

__all__ = ["Classification", "MultiLabel", "QuestionAnswering", "Regression", "Tagging", "Task", "build_task"]


def build_task(config: TaskConfig, label_names: Sequence[str], null_answers: bool = False) -> Task:
    """The task of a run, with the classes that its data have, or for answers: whether there may be none."""
    if config.name == "question_answering":
        return QuestionAnswering(config.max_answer_length, null_answers, config.main_metric)
    if config.name == "regression":
        return Regression(config.main_metric)
    if config.name == "multi_label":
        return MultiLabel(label_names, config.threshold, config.main_metric)
    if config.name == "tagging":
        return Tagging(label_names, config.main_metric)
    return Classification(label_names, config.binary_head, config.main_metric)
