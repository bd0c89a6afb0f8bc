"""The light half of the house stays light, and the rooms stay apart."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from imports import HEAVY, imports, light_modules, loads, modules, settings  # noqa: E402


def test_linter_and_types_follow_one_list():
    listed = [name for name in settings()["tool"]["mypy"]["files"] if not name.startswith("hydra_plugins")]
    assert all((ROOT / name).exists() for name in listed if "*" not in name)
    light = "!{" + ",".join(name if name.endswith(".py") else f"{name}/*" for name in listed) + "}"
    lint = settings()["tool"]["ruff"]["lint"]
    assert lint["per-file-ignores"][light] == ["TID253"], f"pyproject.toml should ignore TID253 for {light!r}"
    assert {*lint["flake8-tidy-imports"]["banned-module-level-imports"]} == {*HEAVY}


def test_a_room_is_light_or_heavy_as_a_whole():
    """Of a folder's own files all are light or none is, but for a ``spec.py``, which is light in every room."""
    rooms: dict[Path, set[bool]] = {}
    for module, path in modules().items():
        if path.name == "spec.py":
            assert module in light_modules()
        elif path.name != "__init__.py":
            rooms.setdefault(path.parent, set()).add(module in light_modules())
    assert [str(room) for room, found in rooms.items() if len(found) > 1] == []


def way_to_heavy(module: str) -> str:
    """How a module's imports, theirs and so on lead to a heavy library or to a module that is not light; empty if not."""
    came_from, waiting = {module: ""}, deque([module])
    while waiting:
        current = waiting.popleft()
        is_package = current in modules() and modules()[current].name == "__init__.py"  # of a room: holds no imports
        if current in HEAVY or (current not in light_modules() and not is_package):
            way = [current]
            while came_from[way[-1]]:
                way.append(came_from[way[-1]])
            return " <- ".join(way)
        for name in loads(current):
            if name not in came_from:
                came_from[name] = current
                waiting.append(name)
    return ""


def test_what_light_modules_import_is_light():
    assert light_modules()
    assert [way for module in sorted(light_modules()) if (way := way_to_heavy(module))] == []


def test_the_way_to_a_heavy_library_is_found():
    assert way_to_heavy("bertexp.training.optimizers.adam") == "bertexp.training.optimizers.adam"
    assert "tensorflow" in loads("bertexp.training.schedule")
    assert not {*HEAVY} & {*loads("bertexp.system.devices")}  # it imports TensorFlow in functions


@pytest.mark.parametrize("module", ["bertexp.__main__", "bertexp.runs.runner", "bertexp.commands.doctor"])
def test_importing_the_light_half_imports_nothing_heavy(module):
    code = f"import {module}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert module in loaded
    assert not {*HEAVY} & {*loaded}


def imported_rooms(module: str) -> set[str]:
    """Rooms (sub-packages of bertexp) that a module imports, in functions too."""
    names = (one.module.split(".") for one in imports(module))
    return {parts[1] for parts in names if parts[0] == "bertexp" and len(parts) > 1}


@pytest.mark.parametrize("room", ["data", "models", "training", "tracking"])
def test_rooms_do_not_import_one_another_sideways(room):
    rooms = {"data", "models", "training", "tracking", "serving", "reports"}  # a task's folder holds a part of each
    allowed = {"models": {"data"}}.get(room, set())  # random weights take the vocabulary that data embeds
    for module in modules():
        if module.startswith(f"bertexp.{room}."):
            assert not (imported_rooms(module) & rooms) - {room} - allowed, module


def test_hydra_stops_at_the_config_room():
    for module, path in modules().items():
        if not module.startswith(("bertexp.config.", "bertexp.__main__", "hydra_plugins.")):
            assert not re.search(r"^\s*(import|from) (hydra|omegaconf)", path.read_text(), re.MULTILINE), path
