"""Cores that may be used: bound ones, and quotas of control groups of both versions."""

import os

import pytest

from bertexp.system.machine import available_cores

BOUND = 8


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(BOUND), raising=False)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


GROUPS_1 = "12:memory:/job\n4:cpu,cpuacct:/job/step\n1:name=systemd:/job\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, BOUND),
        ({"proc/self/cgroup": "0::/\n"}, BOUND),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, BOUND),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "6400000 100000\n"}, BOUND),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, BOUND),
        (  # the narrowest of a group and those around it
            {
                "proc/self/cgroup": "0::/slurm/job/step\n",
                "sys/fs/cgroup/slurm/cpu.max": "max 100000\n",
                "sys/fs/cgroup/slurm/job/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/slurm/job/step/cpu.max": "400000 100000\n",
            },
            3,
        ),
        (  # a container that sees its host's name for its group, and mounts it as the root
            {"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"},
            4,
        ),
        (
            {
                "proc/self/cgroup": GROUPS_1,
                "sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_period_us": "50000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": GROUPS_1,
                "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (  # a quota of the memory's group is none of the processor's
            {
                "proc/self/cgroup": "12:cpuset:/a\n",
                "sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpuset/a/cpu.cfs_period_us": "100000\n",
            },
            BOUND,
        ),
    ],
)
def test_cores_are_those_bound_and_within_every_quota(tmp_path, files, cores):
    assert available_cores(write(tmp_path, files)) == cores


def test_a_system_that_binds_nothing_counts_its_cores(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert available_cores(tmp_path) == 4
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(tmp_path) == 1
