"""The set-up script on machines that lack something, the locks, the Makefile and the doctor; nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bertexp.commands import doctor
from bertexp.commands.doctor import OK, PROBLEM, WARNING, Check, DeviceFacts, check_devices
from bertexp.system.machine import find_nvidia

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("awk", "cat", "chmod", "cksum", "cp", "df", "dirname", "grep", "ln", "mkdir", "rm", "sed", "sh", "uname")


class Machine:
    """A checkout beside a PATH that holds a few standard tools and whatever a test puts there."""

    def __init__(self, folder: Path):
        self.checkout, self.bin, self.log = folder / "a checkout", folder / "bin", folder / "log"
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        for name in ("scripts/setup.sh", "requirements.lock", "requirements-gpu.lock", "pyproject.toml"):
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        self.tool("uname", 'echo "Linux x86_64"')

    def tool(self, name: str, script: str) -> Path:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def python(self, name: str = "python3", has_venv: bool = True, uv: str = "exit 0") -> None:
        """A Python that answers questions truly and writes installations to the log instead of doing them."""
        uv_tool = self.tool("fake-uv", f'echo "uv $*" >>"{self.log}"; {uv}')
        self.tool(
            name,
            f"""case "$*" in
                *ensurepip*) {"exit 0" if has_venv else "exit 1"} ;;
                "-m venv"*) echo "venv" >>"{self.log}"; rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
                *"pip --disable-pip-version-check install"*uv==*) cp "{uv_tool}" .venv/bin/uv ;;
                *"pip --disable-pip-version-check install"*) echo "pip $*" >>"{self.log}" ;;
                "-m "*) ;;
                *) exec "{sys.executable}" "$@" ;;
            esac""",
        )

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        command = ["sh", str(self.checkout / "scripts/setup.sh")]
        return subprocess.run(
            command,
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def fails(self, **environment: str) -> str:
        """The one line that a failing set-up says."""
        result = self.set_up(**environment)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        (line,) = result.stderr.splitlines()
        return line


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_fitting_python_one_sentence_says_what_to_install(machine: Machine):
    machine.tool("python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")  # a shim, nothing behind it
    machine.tool("python3", "exit 1")  # another version: it fails the question
    line = machine.fails()
    assert "no Python 3.10, 3.11, 3.12 or 3.13 found" in line
    assert "apt install python3" in line


def test_a_named_python_that_does_not_fit_is_named(machine: Machine):
    machine.python("python3")
    assert "PYTHON=/no/python is no working Python" in machine.fails(PYTHON="/no/python")


def test_without_the_venv_module_the_package_to_install_is_named(machine: Machine):
    machine.python("python3", has_venv=False)
    version = "python{}.{}-venv".format(*sys.version_info[:2])
    assert f"lacks its venv module; install it (Debian, Ubuntu: sudo apt install {version})" in machine.fails()


def test_another_python_is_taken_when_the_first_lacks_venv(machine: Machine):
    machine.python("python3", has_venv=True)
    machine.tool("python3.12", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    assert machine.set_up().returncode == 0


def test_a_full_disk_is_found_before_anything_is_written(machine: Machine):
    machine.python()
    machine.tool("df", "echo Filesystem; echo /dev/x 100000000 92000000 7900000 92% /")
    assert "7 GB are free" in machine.fails()
    assert not (machine.checkout / ".venv").exists()


@pytest.mark.parametrize("system", ["Darwin x86_64", "MINGW64_NT-10.0 x86_64"])
def test_platforms_without_tensorflow_are_refused(machine: Machine, system: str):
    machine.python()
    machine.tool("uname", f'echo "{system}"')
    assert f"no packages for {system}" in machine.fails()


def test_cuda_wheels_are_refused_where_there_are_none(machine: Machine):
    machine.python()
    machine.tool("uname", 'echo "Linux aarch64"')
    assert "leave out GPU=1" in machine.fails(GPU="1")


def test_the_stack_and_the_project_are_installed_once(machine: Machine):
    machine.python()
    assert machine.set_up().returncode == 0
    venv, stack, project = machine.log.read_text().splitlines()
    assert venv == "venv"
    assert stack.startswith("uv pip install")
    assert stack.endswith("-r requirements.lock")
    assert project.endswith("--no-deps --no-build-isolation -e .")

    again = machine.set_up()
    assert (again.returncode, again.stdout, machine.log.read_text()) == (0, "", "")

    machine.set_up(GPU="1")  # the .venv stays, the CUDA wheels are added
    stack, _ = machine.log.read_text().splitlines()
    assert stack.endswith("-r requirements-gpu.lock")
    machine.set_up()  # a GPU stack serves a run without GPU=1 too
    assert machine.log.read_text() == ""

    with open(machine.checkout / "requirements.lock", "a") as lock:
        lock.write("another-package==1.0\n")
    machine.set_up()
    assert "-r requirements.lock" in machine.log.read_text()


def test_pip_takes_over_where_uv_fails(machine: Machine):
    machine.python(uv="exit 2")
    assert machine.set_up().returncode == 0
    assert [line.split()[0] for line in machine.log.read_text().splitlines()] == ["venv", "uv", "pip", "uv", "pip"]


def test_a_broken_venv_is_made_anew(machine: Machine):
    machine.python()
    (machine.checkout / ".venv/bin").mkdir(parents=True)
    (machine.checkout / ".venv/bin/python").symlink_to("/gone/python3")
    assert machine.set_up().returncode == 0
    assert machine.log.read_text().startswith("venv")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-gpu.lock"])
def test_locks_hold_exact_pins_and_no_address(name: str):
    for line in (ROOT / name).read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_(]+ .*)?", line), line
        assert "/" not in line


def test_the_gpu_lock_only_adds_to_the_other():
    cpu, gpu = (set((ROOT / name).read_text().splitlines()) for name in ("requirements.lock", "requirements-gpu.lock"))
    assert cpu < gpu
    assert all(line.startswith("nvidia-") for line in gpu - cpu)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_help_lists_every_target():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[1] for line in text.splitlines() if line.startswith("  make ")] == targets


def judge(**facts: object) -> Check:
    return check_devices(DeviceFacts(**facts), "install", "make setup GPU=1")


def test_doctor_tells_no_gpu_from_missing_wheels_from_a_gpu_at_work():
    assert judge().finding == "no NVIDIA GPU; runs use the CPU"

    missing = judge(nvidia="Tesla T4, driver 550.54")
    assert missing.mark == WARNING
    assert "CUDA wheels are missing" in missing.finding
    assert missing.cure == "make setup GPU=1"

    assert "does not see it" in judge(nvidia="Tesla T4", cuda_wheels=True).finding
    assert "hidden by CUDA_VISIBLE_DEVICES" in judge(nvidia="Tesla T4", cuda_wheels=True, hidden=True).finding
    assert "have no CUDA" in judge(nvidia="GH200", system="Linux aarch64").finding
    assert judge(nvidia="Tesla T4", cuda_wheels=True, tensorflow_gpus=("Tesla T4",)) == Check(
        OK, "devices", "GPU: Tesla T4"
    )
    assert judge(tensorflow_error="ImportError: numpy").mark == PROBLEM


def test_doctor_finds_missing_and_mixed_packages():
    versions = dict.fromkeys(doctor.STACK, "2.20.0")
    assert doctor.check_packages({**versions, "tf-keras": "2.20.1"}, "cure").mark == OK
    assert "different releases" in doctor.check_packages({**versions, "tf-keras": "2.19.0"}, "cure").finding
    assert doctor.check_packages({name: versions[name] for name in versions if name != "mlflow"}, "cure") == Check(
        PROBLEM, "packages", "missing: mlflow", "cure"
    )


def test_doctor_judges_python_disk_and_memory():
    assert doctor.check_python((3, 14), "/usr/bin/python").mark == PROBLEM
    assert doctor.check_outputs(Path("/o"), writable=False, free=10**12).mark == PROBLEM
    assert doctor.check_outputs(Path("/o"), writable=True, free=10**8).mark == PROBLEM
    assert doctor.check_machine(2, 2 * doctor.GIB).mark == WARNING
    assert "trainer.precision=mixed_bfloat16" in doctor.check_machine(2, 8 * doctor.GIB, bfloat16=True).finding
    assert "bfloat16" not in doctor.check_machine(2, 8 * doctor.GIB).finding


def test_doctor_counts_the_runs_of_a_store_and_finds_a_broken_one(tmp_path: Path):
    store = tmp_path / "mlflow.db"
    assert "made by the first run" in doctor.check_store("", store).finding
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE runs (lifecycle_stage TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", [("active",), ("active",), ("deleted",)])
    database.close()
    assert "2 runs" in doctor.check_store("", store).finding
    store.write_text("not a database, but long enough to be looked at" * 10)
    assert doctor.check_store("", store).mark == PROBLEM


def test_doctor_command_prints_a_report_and_its_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "observe_devices", lambda: DeviceFacts(nvidia="Tesla T4"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/file").write_bytes(b"x" * 2048)
    assert doctor.main([f"run.outputs_dir={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "2 KiB in 1 files" in printed
    assert "-> " in printed.splitlines()[-2]
    assert printed.endswith("Runs work: 1 warning.\n")

    monkeypatch.setattr(doctor, "observe_devices", lambda: DeviceFacts(tensorflow_error="ImportError: libfoo"))
    assert doctor.main([f"run.outputs_dir={tmp_path}"]) == 2
    assert "A run will stop: 1 problem." in capsys.readouterr().out


def test_nvidia_smi_is_asked_for_names_and_driver(tmp_path: Path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 550.54.15'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin:/usr/bin")
    assert find_nvidia() == "NVIDIA H200, driver 550.54.15"


def test_doctor_reports_a_tensorflow_that_is_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "read_versions", lambda packages: {})
    monkeypatch.setattr(doctor, "observe_devices", lambda: DeviceFacts(tensorflow_error="ModuleNotFoundError"))
    assert doctor.main([f"run.outputs_dir={tmp_path}"]) == 2
    assert "missing: tensorflow, " in capsys.readouterr().out
