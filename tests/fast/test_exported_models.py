"""What ``bertexp.json`` says of an exported model, in its first and its present format."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from bertexp.errors import FormatUnknown
from bertexp.serving.spec import ServingSpec, read_about
from bertexp.tasks.registry import all_tasks, find_task

FIRST_FORMAT = {  # as version 0.1.0 wrote it for every task
    "format": 1,
    "label_names": ["O", "B-PER", "I-PER"],
    "max_length": 64,
    "has_pair": False,
    "task": "classification",
    "binary_head": "sigmoid",
    "threshold": 0.5,
    "long_text": "truncate_head",
    "window_overlap": 16,
    "max_answer_length": 30,
    "null_answers": False,
    "inputs": ["text"],
    "scheme": None,
    "lowercase": True,
    "versions": {"bertexp": "0.1.0"},
}


def written(folder, **content) -> dict:
    (folder / "bertexp.json").write_text(json.dumps(FIRST_FORMAT | content))
    return read_about(folder)


@pytest.mark.parametrize(
    ("content", "numbers", "answer", "bounded"),
    [
        ({}, "probabilities", ["label", "probability", "probabilities"], True),
        ({"long_text": "windows"}, "probabilities", ["label", "probability", "probabilities"], False),
        ({"task": "multi_label", "threshold": 0.3}, "probabilities", ["labels", "probabilities"], True),
        ({"task": "regression", "label_names": []}, "score", ["score"], True),
        ({"task": "tagging", "scheme": "IOB2"}, "probabilities", ["entities", "words", "tags"], True),
        (
            {"task": "question_answering", "label_names": [], "has_pair": True, "inputs": ["question", "context"]},
            "score",
            ["answer", "score", "start", "end"],
            False,
        ),
    ],
)
def test_a_model_of_the_first_format_is_read_as_one_of_the_present(tmp_path, content, numbers, answer, bounded):
    about = written(tmp_path, **content)
    assert about["inputs"] == content.get("inputs", ["text"])
    assert (about["numbers"], [column["name"] for column in about["answer"]]) == (numbers, answer)
    assert about["bounded"] == bounded
    assert about["answer"][0].get("threshold") == content.get("threshold")
    assert about["answer"][0].get("scheme") == content.get("scheme")


@pytest.mark.parametrize("name", [task.name for task in all_tasks()])
def test_both_formats_say_the_same(tmp_path, name):
    spec = find_task(name)
    first = FIRST_FORMAT | {"task": name, "has_pair": len(spec.inputs(False)) == 2}
    task = SimpleNamespace(spec=spec, settings=spec.settings(), label_names=tuple(first["label_names"]))
    present = ServingSpec(task, 64, first["has_pair"], window_overlap=16).describe()
    del present["settings"]
    assert present.items() <= json.loads(json.dumps(written(tmp_path, **first))).items()


def test_a_model_of_a_later_version_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(FormatUnknown, match=r"bertexp.json has format 3, .*upgrade bertexp"):
        written(tmp_path, format=3)
