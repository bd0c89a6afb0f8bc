"""A task is a place: its name and its settings stand in its own folder, and every task says what the other rooms ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertexp.config.resolve import compose_config
from bertexp.data.find.locate import locate_dataset
from bertexp.data.sets.spec import SETS
from bertexp.errors import ConfigError, DataError
from bertexp.tasks import registry
from bertexp.tasks.registry import all_tasks, find_task, register_task

PACKAGE = Path(registry.__file__).parents[1]


def test_a_tasks_name_stands_in_its_folder_and_nowhere_else():
    quoted = re.compile(rf"""["']({"|".join(task.name for task in all_tasks())})["']""")
    for path in PACKAGE.rglob("*.py"):
        if PACKAGE / "tasks" not in path.parents:
            assert not quoted.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_every_task_says_what_is_asked_of_it(task):
    assert task.settings().name == task.name
    assert "loss" in task.lower_is_better
    assert set(task.lower_is_better) <= set(task.metrics)
    assert any(task.label_form in known.labels for known in SETS.values())
    for has_pair in (False, True):
        texts = [task.inputs(has_pair), task.example(has_pair), task.placeholders(has_pair)]
        assert len({len(given) for given in texts}) == 1
    answer = task.answer(task.settings(), ("O", "B-a"))
    assert task.numbers in {column.output for column in answer} | {"probabilities"}
    assert {column.type for column in answer} <= {"string", "long", "double"}
    for long_text in task.long_texts:
        compose_config([f"task={task.name}", f"dataset.long_text={long_text}"])


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_the_direction_of_every_metric_is_that_of_its_errors(task):
    for metric in task.metrics:
        smaller = metric in ("loss", "rmse", "mae")
        assert task.better(f"val/{metric}") == ("min" if smaller else "max"), metric


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["dataset=imdb", "task=tagging"], "dataset=wnut17 or conll or files; .*own: dataset=conll dataset.path=…"),
        (
            ["dataset=mrpc", "task=regression", "task.main_metric=mae"],
            "dataset=stsb or files or tfrecord; .*own: dataset=files",
        ),
        (["dataset=files", "task=question_answering"], "dataset=squad or squad_v2 or xquad; .*own: dataset=squad"),
    ],
)
def test_a_data_set_and_a_task_that_do_not_fit_are_told_what_would(words, cure):
    config, _ = compose_config(words)
    with pytest.raises(DataError, match=cure):
        locate_dataset(config.dataset, "nowhere", config.task.name)


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    register_task(find_task("regression"))  # once more does no harm

    class Other(type(find_task("tagging"))):
        name = "regression"

    with pytest.raises(ConfigError, match="there is a task regression already"):
        register_task(Other())
    with pytest.raises(ConfigError, match="did you mean 'regression'"):
        find_task("regresion")


def test_sets_of_classes_that_differ_are_spelled_differently():
    names = ("x", "y", "x, y", '"x"', "(none)")
    spelled = [find_task("multi_label").spell(label, names) for label in ([], [0], [0, 1], [2], [3], [4], [1, 2])]
    assert spelled[:4] == ["(none)", "x", "x, y", '"x, y"']
    assert len(set(spelled)) == len(spelled)
