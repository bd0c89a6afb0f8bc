"""Counts lines of code: Python without blank lines, comments and docstrings.

    python scripts/count_lines.py [FOLDER …]

A line counts if a token of code stands on it; each line of a string over several lines does. Without folders, the
package and the Hydra plugins are counted.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("bertexp", "hydra_plugins")
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def count_lines(source: str) -> int:
    """Returns how many lines of ``source`` hold code."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {line for token in tokens if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _docstring(node):
            code.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(code)


def _docstring(node: ast.AST) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def main(folders: list[str]) -> None:
    """Prints the lines of each folder, and of all of them."""
    total = 0
    for folder in folders or [str(ROOT / name) for name in FOLDERS]:
        files = sorted(Path(folder).rglob("*.py"))
        lines = sum(count_lines(path.read_text(encoding="utf-8")) for path in files)
        total += lines
        print(f"{lines:7,}  {len(files):4} files  {Path(folder).name}")
    print(f"{total:7,}  in all")


if __name__ == "__main__":
    main(sys.argv[1:])
