"""The settings that every task has; each task adds its own in ``bertexp/tasks/<name>/spec.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from bertexp.config.checks import Settings, require, setting
from bertexp.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from bertexp.tasks.spec import TaskSpec


@dataclass
class TaskConfig(Settings, group="task"):
    """What is predicted from a text."""

    name: str = setting(MISSING, "chosen with task=<name>")
    main_metric: str | None = setting(None, "chooses the checkpoint, unless trainer.monitor does; null: the task's own")

    def __post_init__(self) -> None:
        super().__post_init__()
        own = type(self).name
        require(
            self.name == own,
            f"task.name={self.name} does not go with the settings of task={own}; write task={self.name}",
        )
        if self.main_metric is None:
            return
        from bertexp.tasks.registry import all_tasks

        others = [task.name for task in all_tasks() if self.main_metric in task.metrics]
        require(
            not others or self.name in others,
            f"task.main_metric={self.main_metric}, which may be the data set's own, is measured by task="
            f"{' or '.join(others)} and not by task={self.name}: leave task={self.name} out, or give "
            f"task.main_metric={self.spec.metrics[0]} with it",
        )
        if self.main_metric not in (metrics := self.spec.metrics):
            hint = did_you_mean(self.main_metric, metrics)
            raise ConfigError(f"task.main_metric={self.main_metric} is not one of {', '.join(metrics)}{hint}")

    @property
    def spec(self) -> TaskSpec:
        """All else that is to be known of the task."""
        from bertexp.tasks.registry import find_task

        return find_task(self.name)
