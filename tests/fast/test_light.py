"""The light half of the house stays light, and the rooms stay apart."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "bertexp"
HEAVY = ("tensorflow", "tensorflow_text", "tf_keras", "official", "mlflow", "optuna", "pandas", "matplotlib", "sklearn")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "module",
    [
        "bertexp",
        "bertexp.__main__",
        "bertexp.runs.plan",
        "bertexp.runs.runner",
        "bertexp.runs.record",
        "bertexp.commands.doctor",
        "bertexp.commands.encode",
        "bertexp.data.encoded.dataset",
        "bertexp.commands.compare",
        "bertexp.sweeps.start",
        "hydra_plugins.bertexp.sweeper",
    ],
)
def test_importing_the_light_half_imports_nothing_heavy(module):
    loaded = run_python(f"import {module}, sys; print(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)


def imported_rooms(path: Path) -> set[str]:
    """Rooms (sub-packages of bertexp) that a file imports when it runs, not only for its type hints."""
    tree = ast.parse(path.read_text())
    typing_only = {id(n) for block in ast.walk(tree) if isinstance(block, ast.If) for n in ast.walk(block)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing_only:
            parts = node.module.split(".")
            if parts[0] == "bertexp" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("room", ["data", "models", "training", "tracking"])
def test_rooms_do_not_import_one_another_sideways(room):
    rooms = {"data", "models", "training", "tracking", "serving", "reports"}  # a task's folder holds a part of each
    allowed = {"models": {"data"}}.get(room, set())  # random weights take the vocabulary that data embeds
    for path in (PACKAGE / room).rglob("*.py"):
        assert not (imported_rooms(path) & rooms) - {room} - allowed, path


def test_hydra_stops_at_the_config_room():
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "config" and path.name != "__main__.py":
            assert not re.search(r"^\s*(import|from) (hydra|omegaconf)", path.read_text(), re.MULTILINE), path
