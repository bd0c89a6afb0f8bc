"""A process is not taken for another one, on whatever host, in whatever container, before or after a restart."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bertexp.system import identity
from bertexp.system.identity import Identity, is_free, new_lease, own_identity

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc to ask")
LAST, NEXT = time.time() - 1, time.time() + 3600


@linux
def test_own_identity_is_whole_and_lives():
    me = own_identity()
    assert all((me.host, me.boot, me.namespace, me.born))
    assert me.pid == os.getpid()
    assert me.lives() is True
    assert me == own_identity()


@linux
def test_a_reused_number_is_another_process():
    assert replace(own_identity(), born="1").lives() is False


@linux
def test_a_process_that_ended_is_dead_also_before_it_is_counted():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    its = replace(own_identity(), pid=child.pid, born=identity._born(child.pid))
    assert its.lives() is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert its.lives() is False
    child.communicate()
    assert its.lives() is False


@linux
@pytest.mark.parametrize("part", ["host", "boot", "namespace"])
@pytest.mark.parametrize("other", ["another", ""])
def test_a_process_elsewhere_cannot_be_asked(part, other):
    """Its number may be anybody's here: alive or dead, only time tells."""
    its = replace(own_identity(), **{part: other})
    assert its.lives() is None
    assert replace(its, pid=2**22 + 1).lives() is None
    assert not is_free(vars(its) | {"until": NEXT})
    assert is_free(vars(its) | {"until": LAST})


@linux
def test_numbers_of_a_foreign_proc_are_not_trusted(monkeypatch):
    """A container that sees its host's /proc would ask for other processes."""
    read = os.readlink
    monkeypatch.setattr(os, "readlink", lambda path: "999999" if path == "/proc/self" else read(path))
    me = own_identity()
    assert me.namespace == ""
    assert me.lives() is None


def test_a_living_holder_here_keeps_its_lease_beyond_its_time():
    lease = new_lease(-1)
    assert is_free(lease) is (own_identity().lives() is None)
    assert not is_free(new_lease(60))


@linux
def test_a_dead_holder_here_loses_it_at_once():
    assert is_free(new_lease(60) | {"pid": 2**22 + 1})
    assert is_free(new_lease(60) | {"born": "1"})


def test_leases_of_an_older_version_end_with_their_time():
    me = own_identity()
    old = {"worker": f"{me.host}:{me.pid}", "host": me.host, "pid": me.pid, "born": me.born}
    assert not is_free(old | {"until": NEXT})
    assert is_free(old | {"until": LAST})
    assert not is_free(old | {"pid": 2**22 + 1, "until": NEXT})


HOLDER = """
import json, sys, time
from bertexp.system.files import scratch_folder
from bertexp.system.identity import new_lease
with scratch_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("x")
    print(json.dumps({"lease": new_lease(3600), "folder": str(folder)}), flush=True)
    time.sleep(120)
"""
ASKER = """
import json, os, sys
from pathlib import Path
from bertexp.system.files import write_text
from bertexp.system.identity import is_free
told = json.loads(sys.argv[2])
write_text(Path(sys.argv[1]) / "swept", "x")
print(json.dumps([os.getpid(), is_free(told["lease"]), Path(told["folder"], "half").exists()]))
"""
IN_OWN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]


@linux
@pytest.mark.long
def test_two_containers_on_one_folder_do_not_mistake_each_other(tmp_path):
    """Both processes have the same host name and, in their own space of numbers, the same number."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare")
    if (tried := subprocess.run([*IN_OWN_NAMESPACE, "true"], capture_output=True, text=True)).returncode:
        pytest.skip(f"no namespaces of process numbers here: {tried.stderr.strip()}")
    python = [*IN_OWN_NAMESPACE, sys.executable, "-c"]
    holder = subprocess.Popen([*python, HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        line = holder.stdout.readline()
        told = json.loads(line)

        def ask(words):
            return json.loads(
                subprocess.run([*words, ASKER, str(tmp_path), line], check=True, capture_output=True).stdout
            )

        assert told["lease"]["pid"] == 1
        assert ask(python) == [1, False, True]  # a process 1 of its own, which began at another time
        _, free, there = ask([sys.executable, "-c"])
        assert (free, there) == (False, True)
    finally:
        holder.kill()
        holder.wait()
    assert ask([sys.executable, "-c"])[1:] == [False, False]  # the lease lasts, but the kernel knows whose lock is gone
    told["lease"]["until"] = LAST
    line = json.dumps(told)
    assert ask(python)[1] is True


def test_an_identity_survives_being_written_down():
    me = own_identity()
    assert Identity(**json.loads(json.dumps(vars(me)))) == me
