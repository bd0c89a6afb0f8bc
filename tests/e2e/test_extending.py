"""docs/extending.md: its own blocks of code, put where it says, make kinds that a run trains with."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather
from shell import REPOSITORY, bertexp

PAGE = (REPOSITORY / "docs/extending.md").read_text(encoding="utf-8")
BLOCKS = list(
    zip(*[iter(re.split(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL))] * 3, strict=False)
)  # text, language, code


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the checkout with what the page adds."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("bertexp", "conf", "experiments", "hydra_plugins"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    for text, language, code in BLOCKS:
        if language == "python":
            add_to(copy / re.findall(r"`(bertexp/[\w/]+\.py)`", text)[-1], code, re.findall(r"`([A-Z]+)`", text))
    return copy


def add_to(path: Path, code: str, registries: list[str]) -> None:
    """Writes a new file, or one line into the registry of a ``spec.py``."""
    if path.name != "spec.py":
        assert not path.exists()
        path.write_text(code, encoding="utf-8")
        return
    begin, brace, rest = path.read_text(encoding="utf-8").partition(f"\n{registries[-1]} = {{")
    assert brace
    assert code.count("\n") == 1
    comment, _, entries = rest.partition("\n")
    path.write_text(f"{begin}{brace}{comment}\n{code}{entries}", encoding="utf-8")


def test_a_run_trains_with_the_pages_pooling_optimizer_and_data_format(extended):
    texts = [f"{word} film {number} of the year" for number in range(200) for word in ("good", "bad")]
    rows = pa.table({"text": texts, "label": [text.split()[0] for text in texts]})
    feather.write_feather(rows, extended / "rows.feather")
    command = next(code for _, language, code in BLOCKS if language == "sh").removeprefix("python -m bertexp ")
    short = "optimizer.learning_rate=0.02 trainer.max_epochs=3 trainer.batch_size=8 dataset.max_length=16 tracking=none"
    plain = "model.dropout=0 model.encoder_dropout=0"
    ended = bertexp(*shlex.split(f"{command} {short} {plain}"), cwd=extended, PYTHONPATH=str(extended))
    assert ended.status == 0, ended.err
    assert "rows.feather" in ended.out
    assert "verified" in ended.out
    accuracy = float(re.search(r"test/accuracy ([\d.]+)", ended.out)[1])
    assert accuracy > 0.9, ended.out  # of two classes as frequent: all three did their work


def test_the_pages_kinds_are_known_and_a_wrong_name_is_answered_with_theirs(extended):
    for wrong, right in (("model.pooling=atention", "attention"), ("optimizer.name=sdg", "sgd")):
        ended = bertexp(wrong, "run.dry=true", cwd=extended, PYTHONPATH=str(extended))
        assert ended.status == 2
        assert f"did you mean '{right}'" in ended.err
    feather.write_feather(pa.table({"text": [1, 2], "label": ["a", "b"]}), extended / "numbers.feather")
    words = ("model=tiny", "dataset=files", "dataset.path=numbers.feather", "tracking=none")
    ended = bertexp(*words, cwd=extended, PYTHONPATH=str(extended))
    assert ended.status == 2
    assert "column 'text' of numbers.feather holds int64 and no texts" in ended.err
