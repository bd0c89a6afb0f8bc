"""The wheel holds everything a run needs, and works from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("bertexp-*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def unpacked(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site-packages")
    wheel.extractall(folder)
    return folder


def run(unpacked: Path, empty: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    result = subprocess.run(
        [sys.executable, *arguments], cwd=empty, env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_tracked_file_of_the_package_is_in_the_wheel(wheel: zipfile.ZipFile):
    names = set(wheel.namelist())
    files = [path for path in (ROOT / "bertexp").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for folder in ("conf", "experiments"):
        files += (ROOT / folder).rglob("*.yaml")
    for path in files:
        inside = path.relative_to(ROOT).as_posix()
        assert (inside if inside.startswith("bertexp/") else f"bertexp/{inside}") in names


def test_the_wheel_adds_nothing_else_to_site_packages(wheel: zipfile.ZipFile):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops - {"hydra_plugins"} == {"bertexp", "bertexp-0.1.0.dist-info"}
    assert not [name for name in wheel.namelist() if name.startswith("hydra_plugins/") and "bertexp" not in name]


def test_the_wheel_names_licence_command_and_cuda_extra(wheel: zipfile.ZipFile):
    info = "bertexp-0.1.0.dist-info"
    assert "Apache License" in wheel.read(f"{info}/licenses/LICENSE").decode()
    assert "bertexp = bertexp.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert "extra == 'gpu'" in wheel.read(f"{info}/METADATA").decode()


def test_the_wheel_composes_a_job_in_an_empty_folder(unpacked: Path, tmp_path: Path):
    where = run(unpacked, tmp_path, "-c", "import bertexp; print(bertexp.__file__)")
    assert Path(where.strip()) == unpacked / "bertexp" / "__init__.py"
    job = run(unpacked, tmp_path, "-m", "bertexp", "--cfg", "job", "model=small_bert_l4", "dataset=imdb")
    assert "name: small_bert_l4" in job
    assert "name: imdb" in job
    assert "tiny" in run(unpacked, tmp_path, "-m", "bertexp", "--help")
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_plans_the_default_run_in_an_empty_folder(unpacked: Path, tmp_path: Path):
    assert "reviews" in run(unpacked, tmp_path, "-m", "bertexp", "run.dry=true")


def test_the_wheel_brings_its_sweeper(unpacked: Path, tmp_path: Path):
    plan = run(unpacked, tmp_path, "-m", "bertexp", "-m", "sweep=lr_warmup", "run.dry=true")
    assert "optimizer.learning_rate" in plan
    where = run(unpacked, tmp_path, "-c", "import hydra_plugins.bertexp.sweeper as s; print(s.__file__)")
    assert Path(where.strip()) == unpacked / "hydra_plugins" / "bertexp" / "sweeper.py"
