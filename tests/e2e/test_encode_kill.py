"""An encoding that is killed goes on where it was stopped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from shell import bertexp, start

WORDS = ["dataset=reviews", "dataset.max_length=64", "shards=300"]


def shards_in(folder: Path) -> dict[str, int]:
    """When each finished shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*-of-*.tfrecord") if path.name[0] != "."}


def test_a_killed_encoding_goes_on_to_the_same_files(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    ended = bertexp("encode", *WORDS, f"out={whole}", cwd=tmp_path)
    assert ended.status == 0, ended.err
    process = start("encode", *WORDS, f"out={killed}", "workers=2", cwd=tmp_path)
    while len(shards_in(killed)) < 5 and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = shards_in(killed)
    assert 5 <= len(done) < len(shards_in(whole))

    train = bertexp("dataset=tfrecord", f"dataset.path={killed}", "dataset.max_length=64", cwd=tmp_path)
    assert train.status == 2
    assert "goes on where it was stopped" in train.err

    again = bertexp("encode", *WORDS, f"out={killed}", cwd=tmp_path)
    assert again.status == 0, again.err
    assert f"wrote      {len(shards_in(whole)) - len(done)} of {len(shards_in(whole))} shards" in again.out
    assert done.items() <= shards_in(killed).items()
    assert shards_in(killed).keys() == shards_in(whole).keys()
    assert all((killed / name).read_bytes() == (whole / name).read_bytes() for name in os.listdir(whole))
    assert not list(killed.glob(".*.tmp"))

    other = bertexp("encode", *WORDS, f"out={killed}", "dataset.max_length=32", cwd=tmp_path)
    assert (other.status, shards_in(killed).keys()) == (2, shards_in(whole).keys())
    assert "another encoding (max_length 64, not 32)" in other.err
