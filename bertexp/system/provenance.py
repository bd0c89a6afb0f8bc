"""Where a result comes from: the command, the versions, the commit, the machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bertexp.system.cores import available_cores
from bertexp.system.credentials import hide
from bertexp.system.devices import find_nvidia

TENSORFLOW = ("tensorflow", "tensorflow-text", "tf-keras", "tf-models-official")  # of one release, 2.20
STACK = (*TENSORFLOW, "tensorflow-hub", "hydra-core", "mlflow", "optuna", "pyarrow", "numpy")
PACKAGES = (*STACK, "bertexp", "tensorflow-cpu", "omegaconf", "safetensors", "scikit-learn")


def collect_provenance(command: Sequence[str]) -> dict[str, Any]:
    """Returns a JSON-able record of what a run was made with.

    Args:
        command: the words of the command line, as typed.
    """
    return {
        "command": hide(shlex.join(command)),
        "user": _user(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": read_commit(Path(__file__).parent),
        "hardware": {
            "cpu": _cpu_model(),
            "cores": available_cores(),
            "memory_gib": round(memory_bytes() / 2**30, 1),
            "gpu": [name for name in find_nvidia().split("; ") if name],
        },
        "versions": read_versions(),
    }


def provenance_tags(provenance: dict[str, Any]) -> dict[str, str]:
    """Returns the record as flat, dotted tags; what is unknown is left out."""
    tags: dict[str, str] = {}
    for key, value in provenance.items():
        if isinstance(value, dict):
            tags.update({f"{key}.{name}": text for name, text in provenance_tags(value).items()})
        elif isinstance(value, list):
            tags.update({key: ", ".join(value)} if value else {})
        elif value is not None:
            tags[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return tags


def memory_bytes() -> int:
    """Returns the size of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Returns the versions of those of ``packages`` that are installed, without importing them."""
    versions = {}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def read_commit(folder: Path) -> dict[str, Any] | None:
    """Returns the commit of the checkout that tracks ``folder``, and whether tracked files differ from it.

    None if there is no checkout or no git; a package installed inside another project's folder is not its part.
    """
    git = ("git", "-C", str(folder))
    try:
        _answer_of(*git, "ls-files", "--error-unmatch", "__init__.py")
        commit = _answer_of(*git, "rev-parse", "HEAD")
        changed = _answer_of(*git, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _answer_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _cpu_model() -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if platform.system() == "Darwin":
            return _answer_of("sysctl", "-n", "machdep.cpu.brand_string")
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
