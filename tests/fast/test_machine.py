"""A result can be traced to its command, code and machine."""

import subprocess

from bertexp.system import machine
from bertexp.system.machine import collect_provenance, provenance_tags, read_commit, read_versions


def test_what_a_run_was_made_with():
    found = collect_provenance(["python", "-m", "bertexp", "run.name=two words"])
    assert found["command"] == "python -m bertexp 'run.name=two words'"
    assert found["hardware"]["cores"] >= 1
    assert found["hardware"]["memory_gib"] > 0.1
    assert {"numpy", "mlflow", "pyarrow"} <= set(found["versions"])
    tags = provenance_tags(found)
    assert tags["versions.numpy"] == found["versions"]["numpy"]
    assert all(isinstance(value, str) for value in tags.values())


def test_packages_that_are_missing_are_left_out():
    assert read_versions(["numpy", "surely-not-installed"]).keys() == {"numpy"}


def test_commit_and_changes_of_a_checkout_only(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert read_commit(package) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert read_commit(package) is None  # inside a checkout that does not track it, such as a virtual environment's
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    clean = read_commit(package)
    assert clean is not None
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (package / "__init__.py").write_text("changed = True")
    assert read_commit(package) == {"commit": clean["commit"], "dirty": True}


def test_a_password_is_not_recorded():
    command = [
        "python",
        "-m",
        "bertexp",
        "tracking.uri=postgresql://me:se:cret@host/db",
        "dataset.url=https://host/a@b",
    ]
    shown = collect_provenance(command)["command"]
    assert "se:cret" not in shown
    assert "postgresql://me:***@host/db" in shown
    assert "https://host/a@b" in shown


def test_the_gpus_that_the_driver_names_are_recorded(monkeypatch):
    monkeypatch.setattr(machine, "find_nvidia", lambda: "NVIDIA H100, driver 550.1; NVIDIA L4, driver 550.1")
    record = collect_provenance(["python"])
    assert record["hardware"]["gpu"] == ["NVIDIA H100, driver 550.1", "NVIDIA L4, driver 550.1"]
    tags = provenance_tags(record)
    assert tags["hardware.gpu"] == "NVIDIA H100, driver 550.1, NVIDIA L4, driver 550.1"


def test_a_machine_without_a_gpu_has_no_tag_of_one(monkeypatch):
    monkeypatch.setattr(machine, "find_nvidia", str)
    assert "hardware.gpu" not in provenance_tags(collect_provenance(["python"]))
