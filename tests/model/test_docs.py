"""The code in the docs runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "python-api.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["run", "by hand"])
def test_the_python_page_runs(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "python-api.md", "exec"), {})
    assert re.search(r"\b[01]\.\d", capsys.readouterr().out)  # a metric was printed
