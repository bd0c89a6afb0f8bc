"""How the code is counted."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from count_lines import count_lines  # noqa: E402

EXAMPLE = '''"""A docstring
over two lines."""

import os  # one


def f(a):
    """Another."""
    # a comment
    text = """two

    three"""
    return (
        os, a, text
    )
'''


def test_lines_of_code_are_counted_without_blanks_comments_and_docstrings():
    assert count_lines(EXAMPLE) == 1 + 1 + 3 + 3  # import; def; a string over three lines; return over three
