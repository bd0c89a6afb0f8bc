"""``python -m bertexp doctor``: what this machine has, what is amiss, and the line that mends it.

Facts are observed first and judged by pure functions after, so that a test can describe any machine.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bertexp.commands import CommandParser
from bertexp.config.resolve import compose_config
from bertexp.system.console import labelled
from bertexp.system.credentials import hide
from bertexp.system.identity import read_kernel
from bertexp.system.machine import STACK, TENSORFLOW, available_cores, find_nvidia, memory_bytes, read_versions
from bertexp.tracking.mlflow.store import local_path, resolve_uri

OK, WARNING, PROBLEM = "ok", "warning", "problem"
CUDA_WHEEL = "nvidia-cudnn-cu12"
CHECKOUT = Path(__file__).resolve().parents[2]
GIB = 2**30
MIN_MEMORY, MIN_DISK = 4 * GIB, 2 * GIB  # bytes: small_bert_l4 at batch 32 peaks near 3 GiB; a run writes 0.1 to 2
TENSORFLOW_SECONDS = 180  # a cold import on a slow disk
_ASK_TENSORFLOW = """
import json, tensorflow as tf
gpus = tf.config.list_physical_devices("GPU")
names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
print(json.dumps(names))
"""


@dataclass(frozen=True)
class Check:
    """One line of the report; ``cure`` is what to do if ``mark`` is not ok."""

    mark: str  # ok | warning (a run works, not at its best) | problem (a run stops)
    name: str
    finding: str
    cure: str = ""

    def lines(self) -> Iterator[str]:
        """The check as the user reads it."""
        yield f"  {self.mark:<8} {labelled(self.name, self.finding)}"
        if self.cure:
            yield f"{'':<22}-> {self.cure}"


@dataclass(frozen=True)
class DeviceFacts:
    """What was seen of graphics processors, from outside TensorFlow and from inside."""

    system: str = "Linux x86_64"
    nvidia: str = ""  # the driver's name for the GPU; empty: none
    hidden: bool = False  # CUDA_VISIBLE_DEVICES names none
    cuda_wheels: bool = False
    tensorflow_gpus: tuple[str, ...] = ()
    tensorflow_error: str = ""  # last line of a failed import


def check_python(version: tuple[int, int], where: str) -> Check:
    """3.10 to 3.13, for which TensorFlow 2.20 has wheels."""
    finding = f"{version[0]}.{version[1]}, {where}"
    if (3, 10) <= version < (3, 14):
        return Check(OK, "Python", finding)
    return Check(PROBLEM, "Python", finding, "use Python 3.10, 3.11, 3.12 or 3.13")


def check_packages(versions: Mapping[str, str], cure: str) -> Check:
    """All there, and the TensorFlow family of one release."""
    missing = [name for name in STACK if name not in versions]
    if missing:
        return Check(PROBLEM, "packages", f"missing: {', '.join(missing)}", cure)
    finding = ", ".join(f"{name} {version}" for name, version in versions.items())
    releases = {versions[name].rsplit(".", 1)[0] for name in TENSORFLOW}
    if len(releases) > 1:
        return Check(PROBLEM, "packages", f"TensorFlow's packages are of different releases: {finding}", cure)
    return Check(OK, "packages", finding)


def check_machine(cores: int, memory: int, bfloat16: bool = False) -> Check:
    """``memory`` in bytes; ``bfloat16``: whether the CPU multiplies such matrices itself."""
    finding = f"{cores} cores, {memory / GIB:.1f} GiB memory"
    if bfloat16:
        finding += ", bfloat16 units (trainer.precision=mixed_bfloat16 takes two thirds of the time)"
    if memory < MIN_MEMORY:
        return Check(WARNING, "machine", finding, "take smaller models or trainer.batch_size=8")
    return Check(OK, "machine", finding)


def check_devices(facts: DeviceFacts, cure_import: str, cure_cuda: str) -> Check:
    """No GPU, a GPU without its wheels, a GPU that TensorFlow refuses, and a GPU at work are four answers."""
    if facts.tensorflow_error:
        return Check(PROBLEM, "devices", f"TensorFlow cannot be imported: {facts.tensorflow_error}", cure_import)
    if facts.tensorflow_gpus:
        return Check(OK, "devices", f"GPU: {', '.join(facts.tensorflow_gpus)}")
    if not facts.nvidia:
        return Check(OK, "devices", "no NVIDIA GPU; runs use the CPU")
    if facts.hidden:
        why, cure = "hidden by CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES"
    elif facts.system != "Linux x86_64":
        why = f"but TensorFlow's wheels for {facts.system} have no CUDA"
        cure = "run in NVIDIA's TensorFlow container, or take the CPU"
    elif not facts.cuda_wheels:
        why, cure = "but TensorFlow's CUDA wheels are missing", cure_cuda
    else:
        why = "its CUDA wheels are there, but TensorFlow does not see it"
        cure = "`nvidia-smi` must work and name driver 525 or newer"
    return Check(WARNING, "devices", f"{facts.nvidia}, {why}; runs use the CPU", cure)


def check_outputs(folder: Path, writable: bool, free: int) -> Check:
    """``free`` in bytes, on the disk of ``folder``."""
    finding = f"{folder}, {free / GIB:.0f} GiB free"
    if not writable:
        return Check(PROBLEM, "outputs", f"{folder} cannot be written to", "run.outputs_dir=<another folder>")
    if free < MIN_DISK:
        return Check(PROBLEM, "outputs", finding, "free some disk space, or run.outputs_dir=<folder on another disk>")
    return Check(OK, "outputs", finding)


def check_store(address: str, path: Path | None) -> Check:
    """``path`` is None for a server. The store is read, never made."""
    if path is None:
        return Check(OK, "store", f"{address} (a server, not asked)")
    if not path.exists():
        return Check(OK, "store", f"{path}, made by the first run")
    if path.is_dir():
        return Check(OK, "store", f"{path}, a folder of files")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            (runs,) = database.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()
    except sqlite3.Error as error:
        return Check(PROBLEM, "store", f"{path}: {error}", "move the file away; the next run makes a new one")
    return Check(OK, "store", f"{path}, {runs} {'run' if runs == 1 else 'runs'}, {_size(path.stat().st_size)}")


def check_cache(folder: Path) -> Check:
    """Downloads and token caches, which may be removed at any time."""
    files = [file.stat().st_size for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    return Check(OK, "caches", f"{folder}, {_size(sum(files))} in {len(files)} files" if files else f"{folder}, empty")


def report(checks: Sequence[Check]) -> list[str]:
    """All lines, the verdict last."""
    marks = Counter(check.mark for check in checks)
    verdict = "A run will stop" if marks[PROBLEM] else "Runs work"
    counts = [f"{marks[mark]} {mark}{'s' if marks[mark] > 1 else ''}" for mark in (PROBLEM, WARNING) if marks[mark]]
    return [*(line for check in checks for line in check.lines()), f"{verdict}: {', '.join(counts) or 'all is well'}."]


def observe_devices() -> DeviceFacts:
    """Imports TensorFlow in a process of its own, so that a crash there is an answer too."""
    environment = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    command, gpus, error = [sys.executable, "-c", _ASK_TENSORFLOW], (), ""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=TENSORFLOW_SECONDS, check=True
        )
        gpus = tuple(json.loads(answer.stdout.splitlines()[-1]))
    except subprocess.CalledProcessError as failed:
        error = (failed.stderr.strip().splitlines() or [f"it ended with status {failed.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        error = f"no answer within {TENSORFLOW_SECONDS} seconds"
    return DeviceFacts(
        system=f"{platform.system()} {platform.machine()}",
        nvidia=find_nvidia(),
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"),
        cuda_wheels=bool(read_versions([CUDA_WHEEL])),
        tensorflow_gpus=gpus,
        tensorflow_error=error,
    )


def cure_packages() -> str:
    """The line that brings what is missing."""
    lock = CHECKOUT / "requirements.lock"
    if lock.exists():
        return shlex.join([sys.executable, "-m", "pip", "install", "-r", str(lock)])
    return "install bertexp again, into an environment of its own"


def cure_cuda() -> str:
    """The line that brings TensorFlow's CUDA wheels at the version that is here."""
    if sys.prefix == str(CHECKOUT / ".venv"):
        return shlex.join(["make", "-C", str(CHECKOUT), "setup", "GPU=1"])
    version = read_versions(["tensorflow"]).get("tensorflow", "2.20.*")
    return shlex.join([sys.executable, "-m", "pip", "install", f"tensorflow[and-cuda]=={version}"])


def main(words: Sequence[str]) -> int:
    """Prints the report; returns 0 when runs work and 2 when one would stop."""
    config, _ = compose_config(CommandParser("doctor").read(words).settings)
    outputs = Path(config.run.outputs_dir).resolve()
    uri = resolve_uri(config.tracking.uri, outputs)
    nearest = next(folder for folder in (outputs, *outputs.parents) if folder.exists())
    checks = [
        check_python(sys.version_info[:2], sys.executable),
        check_machine(available_cores(), memory_bytes(), "amx_bf16" in read_kernel("/proc/cpuinfo")),
        check_packages(read_versions(STACK), cure_packages()),
        check_outputs(outputs, os.access(nearest, os.W_OK | os.X_OK), shutil.disk_usage(nearest).free),
        check_store(hide(uri), local_path(uri)),
        check_cache(Path(config.run.cache_dir)),
    ]
    print("asking TensorFlow for its devices (10 seconds or so)", file=sys.stderr, flush=True)
    checks.append(check_devices(observe_devices(), cure_packages(), cure_cuda()))
    print("\n".join(report(checks)))
    return 2 if any(check.mark == PROBLEM for check in checks) else 0


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
