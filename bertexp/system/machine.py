"""What a run works on and with: cores, memory, processor, GPUs, versions, commit; recorded as where a result comes from."""

from __future__ import annotations

import contextlib
import getpass
import math
import os
import platform
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from importlib import metadata
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from bertexp.system.credentials import hide
from bertexp.system.identity import read_kernel

T = TypeVar("T")

TENSORFLOW = ("tensorflow", "tensorflow-text", "tf-keras", "tf-models-official")  # of one release, 2.20
STACK = (*TENSORFLOW, "tensorflow-hub", "hydra-core", "mlflow", "optuna", "pyarrow", "numpy")
PACKAGES = (*STACK, "bertexp", "tensorflow-cpu", "omegaconf", "safetensors", "scikit-learn")


def available_cores(root: Path = Path("/")) -> int:
    """Cores that the scheduler gives this process: those it is bound to, and no more than its groups' quota of time.

    A batch system or ``taskset`` binds; a container (``docker --cpus``, a Kubernetes limit) gets a quota. Part of a core
    counts as one.

    Args:
        root: of the file system.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min([bound, *_quotas(root)])))


def results_in_order(pool: Executor, calls: Iterable[Callable[[], T]], ahead: int) -> Iterator[T]:
    """What the calls return, in their order; no more than ``ahead`` of them are begun before the first is taken."""
    rest = iter(calls)
    waiting = deque(pool.submit(call) for call in islice(rest, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(call) for call in islice(rest, 1))
        yield result


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


def find_nvidia() -> str:
    """What the driver calls its GPUs; empty if there is none, which is known at once."""
    if tool := shutil.which("nvidia-smi"):
        command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return "an NVIDIA GPU whose nvidia-smi does not answer"
        if answer.returncode == 0 and answer.stdout.strip():
            return "; ".join(line.replace(", ", ", driver ") for line in answer.stdout.strip().splitlines())
    devices = [*Path("/dev").glob("nvidia[0-9]*"), *Path("/proc/driver/nvidia/gpus").glob("*")]
    return f"an NVIDIA GPU ({devices[0]})" if devices else ""


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


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in cores, of this process's control groups and of those around them (Linux, versions 1 and 2)."""
    for line in read_kernel(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        path = PurePosixPath(group.lstrip("/"))
        for place in (path, *path.parents):  # a container may see its own group as the root
            if controllers:
                folders = [root / "sys/fs/cgroup" / name / place for name in (controllers, "cpu")]
                words = [
                    read_kernel(folder / f"cpu.cfs_{what}_us") for folder in folders for what in ("quota", "period")
                ]
            else:
                words = read_kernel(root / "sys/fs/cgroup" / place / "cpu.max").split()
            quota, period = [*filter(None, map(str.strip, words)), "", ""][:2]  # microseconds; no quota is max or -1
            if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)


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
    for line in read_kernel("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
