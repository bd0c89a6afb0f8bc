"""Every public name says what it is."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from imports import modules  # noqa: E402

Definition = ast.ClassDef | ast.FunctionDef


def definitions(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """The public classes and functions of a module, or methods of a class."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield child


def test_every_public_module_class_and_function_has_a_docstring():
    """A method may be explained where the protocol or base class is that it fills in."""
    missing, methods, documented = [], [], set()
    for module, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and not ast.get_docstring(tree):
            missing.append(module)
        for one in definitions(tree):
            if not ast.get_docstring(one):
                missing.append(f"{module}.{one.name}")
            for method in definitions(one) if isinstance(one, ast.ClassDef) else ():
                if ast.get_docstring(method):
                    documented.add(method.name)
                else:
                    methods.append((method.name, f"{module}.{one.name}.{method.name}"))
    assert missing + [where for name, where in methods if name not in documented] == []
