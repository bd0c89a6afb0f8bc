"""Every command line in README and docs composes, and what is linked exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bertexp.commands import COMMANDS
from bertexp.config.catalog import check_overrides
from bertexp.config.resolve import compose_config
from bertexp.errors import ConfigError
from bertexp.sweeps.start import name_sweep

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES = sorted(
    {
        match.split("  #")[0].strip(" `|")
        for page in PAGES
        if page.name != "extending.md"  # its line needs the kinds that the page adds; test_extending.py runs it
        for match in re.findall(r"python -m bertexp(?! --)([^`\n]*)", page.read_text(encoding="utf-8"))
    }
)
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", LINES)
def test_a_documented_line_is_accepted(line):
    words = [word for word in shlex.split(line) if not word.startswith(("-", "trainer.resume="))]
    if "optimizer.learning_rat=1e-4" in words:  # the documented mistake
        with pytest.raises(ConfigError, match="did you mean"):
            check_overrides(words)
    elif "-m" in shlex.split(line):
        assert name_sweep(words).spec.space.names
    elif words and "=" not in words[0]:
        assert words[0] in COMMANDS
    else:
        config, _ = compose_config(words)
        assert config.model.name


def test_the_readme_is_one_product_page_whose_links_lead_somewhere():
    assert len(README.splitlines()) <= 150
    assert "@@" not in README
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "extending.md"], ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.(?:py|md|yaml))`", page.read_text(encoding="utf-8"))
    missing = [name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "bertexp"))]
    assert not missing
