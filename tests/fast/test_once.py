"""What the package does in one place only: each mechanism, and the files that may name what it is made of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "bertexp"


@pytest.mark.parametrize(
    ("mechanism", "made_of", "where"),
    [
        ("atomic files and folders", r"os\.(replace|rename)\b|\bmk[ds]temp\b|TemporaryDirectory", {"system/files.py"}),
        ("locks of files", r"\bfcntl\b|\bflock\b|O_EXCL", {"system/files.py"}),
        ("full disks", r"\bENOSPC\b", {"system/files.py"}),
        ("identity of a process", r"os\.getpid|os\.getppid|/proc/self/ns|boot_id\"", {"system/identity.py"}),
        ("count of cores", r"cpu_count|sched_getaffinity|cgroup", {"system/machine.py"}),
        ("hidden secrets", r"\*\*\*@|hide_passwords", {"system/credentials.py"}),
        ("progress", r"\btqdm\b", {"system/console.py"}),
        ("labelled lines", r":<10\}|\bsay\(f?\"[a-z][a-z ]{0,9} {2,}\S", {"system/console.py"}),
        ("states of a run", r"(?<![\w=])(?<!labelled\()\"(completed|pruned|interrupted|failed)\"", {"interfaces.py"}),
    ],
)
def test_a_mechanism_is_there_once(mechanism, made_of, where):
    found = {}
    for path in PACKAGE.rglob("*.py"):
        lines = path.read_text().splitlines()
        named = [f"{number}: {line.strip()}" for number, line in enumerate(lines, 1) if re.search(made_of, line)]
        if named and str(path.relative_to(PACKAGE)) not in where:
            found[str(path.relative_to(PACKAGE))] = named
    assert not found, mechanism
