"""Which module of the package imports which, read from the source; and which modules are light.

Light modules answer in a second: nothing that they import leads to a library in `HEAVY`. `[tool.mypy]` in pyproject.toml
lists them, by file and by folder. What a function imports is a door: it opens when the function is called.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bertexp", "hydra_plugins")
HEAVY = (
    *("tensorflow", "tensorflow_text", "tensorflow_hub", "tf_keras", "keras", "official"),
    *("mlflow", "optuna", "pandas", "matplotlib", "sklearn", "sqlalchemy", "seqeval"),
)


class Import(NamedTuple):
    """What one import statement names."""

    module: (
        str  # such as bertexp.data.table or pyarrow.compute; also a name in a module: bertexp.data.table.TextDataset
    )
    in_function: bool


@cache
def settings() -> dict[str, Any]:
    """Returns pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def modules() -> dict[str, Path]:
    """Returns every module of the packages with its file."""
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


@cache
def light_modules() -> frozenset[str]:
    """Returns the modules that `[tool.mypy]` lists."""
    listed = [path for pattern in settings()["tool"]["mypy"]["files"] for path in ROOT.glob(pattern)]
    return frozenset(
        name for name, path in modules().items() if any(path == one or one in path.parents for one in listed)
    )


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Returns what a module imports, also under ``if`` and ``try``, but not what it imports for types alone."""
    return tuple(_imports(ast.parse(modules()[module].read_text(encoding="utf-8")), False))


def _imports(node: ast.AST, in_function: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, in_function) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(f"{child.module}.{alias.name}", in_function) for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _imports(other, in_function)
        else:
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(child, in_function or is_function)


def own_module(name: str) -> str | None:
    """Returns the module of ours that holds what an import names; None for another package's."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name or None


def loads(module: str) -> Iterator[str]:
    """Yields what importing a module imports at once: modules of ours, their packages among them, and heavy libraries."""
    for name in {one.module for one in imports(module) if not one.in_function} | {module.rpartition(".")[0]}:
        own = own_module(name)
        if own is None:
            yield from {name.partition(".")[0]} & {*HEAVY}
        while own:
            if own in modules():
                yield own
            own = own.rpartition(".")[0]
