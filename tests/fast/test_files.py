"""Files, folders and locks: complete or absent, whatever kills the writer."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bertexp.data.tokens.cache import TokenCache
from bertexp.errors import DataError, EnvironmentProblem
from bertexp.system import files
from bertexp.system.files import atomic_file, atomic_folder, locked, scratch_folder, write_text

KILLED_AT_STEP = """
import os, signal, sys
from pathlib import Path
from bertexp.system import files
from bertexp.system.files import atomic_file, atomic_folder

target, kind, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
steps = 0

def killing(function):
    def call(*words, **named):
        global steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*words, **named)
    return call

for name in ("open", "fsync", "replace", "rename", "close", "mkdir"):
    setattr(os, name, killing(getattr(os, name)))
if kind == "file":
    with atomic_file(target) as file:
        file.write("new" * 1000)
else:
    with atomic_folder(target, replace=True) as folder:
        (folder / "first").write_text("new")
        (folder / "second").write_text("new")
print("survived")
"""


def killed_at(step: int, target: Path, kind: str) -> bool:
    """Whether a process that writes ``target`` was killed before its ``step``-th system call."""
    words = [sys.executable, "-c", KILLED_AT_STEP, str(target), kind, str(step)]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL or ended.stdout == "survived\n", ended.stderr
    return ended.returncode != 0


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_survives_a_kill_at_every_step(tmp_path, before):
    target = tmp_path / "run.json"
    for step in range(1, 100):
        target.unlink(missing_ok=True)
        if before:
            target.write_text(before)
        killed = killed_at(step, target, "file")
        assert (target.read_text() if target.exists() else None) in (before, "new" * 1000)
        write_text(tmp_path / "other.json", "by the next writer")
        assert set(names_in(tmp_path)) <= {"run.json", "other.json"}
        if not killed:
            break
    assert step > 4
    assert not killed


@pytest.mark.parametrize("before", [None, "old"])
def test_a_folder_survives_a_kill_at_every_step(tmp_path, before):
    target = tmp_path / "model"
    for step in range(1, 100):
        files.shutil.rmtree(target, ignore_errors=True)
        if before:
            target.mkdir()
            (target / "first").write_text(before)
            (target / "second").write_text(before)
        killed = killed_at(step, target, "folder")
        contents = {path.read_text() for path in target.iterdir()} if target.exists() else {None}
        assert contents in ({before}, {"new"})
        assert not target.exists() or names_in(target) == ["first", "second"]
        with scratch_folder(tmp_path):
            pass
        assert set(names_in(tmp_path)) <= {"model"}
        if not killed:
            break
    assert step > 8
    assert not killed


def test_what_raises_leaves_nothing_and_changes_nothing(tmp_path):
    write_text(tmp_path / "kept", "old")

    def write(file, error):
        file.write("half")
        file.flush()
        raise error

    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "kept") as file:
        write(file, ZeroDivisionError)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "folder") as folder:
        write(open(folder / "half", "w"), KeyboardInterrupt)  # noqa: SIM115
    assert names_in(tmp_path) == ["kept"]
    assert (tmp_path / "kept").read_text() == "old"


def test_permissions_are_those_of_plain_files(tmp_path):
    former = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "x")
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / "inside").write_text("x")
        (tmp_path / "plain").write_text("x")
        (tmp_path / "plain_folder").mkdir()
    finally:
        os.umask(former)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["file"] == modes["plain"] == 0o640
    assert modes["folder"] == modes["plain_folder"] == 0o750


def test_a_library_that_opens_the_name_itself(tmp_path):
    with atomic_file(tmp_path / "a.bin", "wb") as file, open(file.name, "wb") as sink:
        sink.write(b"\x00\x01")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\x01"
    assert names_in(tmp_path) == ["a.bin"]


def test_links_are_followed_and_pipes_are_written(tmp_path):
    write_text(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True)
    write_text(tmp_path / "pipe", "through")
    assert reader.communicate()[0] == "through"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_the_temporary_of_a_living_writer_stays(tmp_path):
    with atomic_file(tmp_path / "slow") as file, scratch_folder(tmp_path) as scratch:
        (scratch / "half").write_text("x")
        write_text(tmp_path / "quick", "x")  # sweeps
        assert (scratch / "half").exists()
        file.write("whole")
    assert (tmp_path / "slow").read_text() == "whole"
    assert names_in(tmp_path) == ["quick", "slow"]


def test_the_temporary_of_another_machine_stays_until_it_is_old(tmp_path):
    foreign = tmp_path / ".bertexp-00000000-0123456789abcdef.tmp"
    foreign.write_text("half")
    write_text(tmp_path / "a", "x")
    assert foreign.exists()
    os.utime(foreign, (0, time.time() - 2 * 24 * 3600))
    write_text(tmp_path / "a", "x")
    assert names_in(tmp_path) == ["a"]


def test_many_writers_of_one_file(tmp_path):
    target, wrong = tmp_path / "shared", []
    write_text(target, "0" * 5000)

    def write(number):
        for _ in range(30):
            write_text(target, str(number) * 5000)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        text = target.read_text()
        if len(text) != 5000 or len(set(text)) != 1:
            wrong.append(text)
    assert not wrong
    assert names_in(tmp_path) == ["shared"]


def test_a_replaced_folder_is_always_there(tmp_path):
    target = tmp_path / "model"
    for number in range(2):  # the second exchanges; file systems that cannot are not asked for more
        with atomic_folder(target, replace=True) as folder:
            (folder / "state").write_text(str(number))
    assert (target / "state").read_text() == "1"
    done, missing = threading.Event(), []

    def watch():
        while not done.is_set():
            if not target.exists():
                missing.append(True)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(50):
        with atomic_folder(target, replace=True) as folder:
            (folder / "state").write_text(str(number))
    done.set()
    watcher.join()
    if missing and not exchanges(tmp_path):
        pytest.skip("this file system cannot exchange two names")
    assert not missing
    assert names_in(tmp_path) == ["model"]


def exchanges(folder: Path) -> bool:
    for name in ("one", "two", "former"):
        (folder / name).mkdir()
    (folder / "former").rmdir()
    files._exchange(folder / "one", folder / "two", folder / "former")
    return not (folder / "former").exists()


def test_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    for number in range(3):
        with atomic_folder(tmp_path / "model", replace=True) as folder:
            (folder / "state").write_text(str(number))
    assert (tmp_path / "model" / "state").read_text() == "2"
    assert names_in(tmp_path) == ["model"]


def test_the_faster_of_two_folders_stays(tmp_path):
    with atomic_folder(tmp_path / "vocab") as slow:
        (slow / "a").write_text("slow")
        with atomic_folder(tmp_path / "vocab") as fast:
            (fast / "a").write_text("fast")
    assert (tmp_path / "vocab" / "a").read_text() == "fast"
    assert names_in(tmp_path) == ["vocab"]


def test_a_file_in_a_folders_place_is_kept(tmp_path):
    (tmp_path / "name").write_text("mine")
    with pytest.raises(OSError, match="name"), atomic_folder(tmp_path / "name", replace=True) as folder:
        (folder / "a").write_text("x")
    assert (tmp_path / "name").read_text() == "mine"


HOLDER = """
import sys
from bertexp.system.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_waited_for_or_refused_and_ends_with_its_holder(tmp_path, capsys):
    lock = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(DataError, match="busy"), locked(lock, fail=DataError("busy")):
        pass
    entered = threading.Event()

    def wait():
        with locked(lock, wait="waiting for another"):
            entered.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not entered.wait(0.2)
    os.kill(holder.pid, signal.SIGKILL)
    waiter.join(30)
    holder.communicate()
    assert entered.is_set()
    assert capsys.readouterr().err == "waiting for another\n"


def test_locks_keep_threads_out_too(tmp_path):
    inside, most = 0, 0

    def enter():
        nonlocal inside, most
        for _ in range(20):
            with locked(tmp_path / "a.lock"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(small_disk):
    write_text(small_disk / "run.json", "old")
    with pytest.raises(EnvironmentProblem, match=f"no space is left on the disk of {small_disk}"):
        write_text(small_disk / "run.json", "x" * 100_000)
    with pytest.raises(EnvironmentProblem, match="free some"), atomic_folder(small_disk / "model") as folder:
        (folder / "weights").write_bytes(b"x" * 100_000)
    assert (small_disk / "run.json").read_text() == "old"
    assert names_in(small_disk) == ["run.json"]


def test_a_full_disk_told_by_a_library_without_a_number(tmp_path):
    with pytest.raises(EnvironmentProblem, match="no space is left"), atomic_folder(tmp_path / "step-1"):
        raise RuntimeError("checkpoint/part-0; No space left on device [Op:SaveV2]")


def test_the_scratch_of_a_token_cache_tells_a_full_disk_too(small_disk):
    cache = TokenCache(small_disk, "fingerprint", "train/text")
    chunks = [([np.ones(10_000, np.int32)], np.full(10, 1_000))] * 5
    with pytest.raises(EnvironmentProblem, match="no space is left"):
        cache.get("tokenizer", ["ids"], 50, lambda: iter(chunks), None)
    assert names_in(small_disk) == []
