"""A mistake ends with status 2 and one sentence, before TensorFlow is imported, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest
from shell import bertexp


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["optimizer.learning_rat=1"], "did you mean 'optimizer.learning_rate'"),
        (["optimizer.learning_rate=fast"], "optimizer.learning_rate=fast is not a number"),
        (["trainer.max_epochs=2.5"], "trainer.max_epochs=2.5 is not a whole number"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0 must be greater than 0"),
        (["run.outputs_dir="], "run.outputs_dir is empty"),
        (["-m", "sweep=lr_warmup", "sweep.name=../../x"], "sweep.name=../../x must be one name"),
        (["~dataset"], "~dataset takes dataset away"),
        (["model=small_bert_l5"], "did you mean"),
        (["dataset=imdb", "dataset.path=/nowhere/aclImdb"], "/nowhere/aclImdb"),
        (["model=minilm_l6", "model.path=/nowhere/minilm"], "/nowhere/minilm"),
        (["trainer.accelerator=gpu"], "no NVIDIA GPU"),
        (["trainer.resume=last"], "no run yet"),
        (["predict", "last", "a text"], "no run yet"),
        (["frobnicate"], "neither a command"),
    ],
)
def test_one_sentence_and_status_two(tmp_path, words, expected):
    ended = bertexp(*words, cwd=tmp_path)
    assert ended.status == 2, ended.err
    assert expected in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert ended.out == ""
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_message_names_both_addresses_and_a_line_that_works(tmp_path):
    with socket.socket() as black_hole:  # a proxy that takes connections and never answers
        black_hole.bind(("127.0.0.1", 0))
        black_hole.listen()
        proxy = f"http://127.0.0.1:{black_hole.getsockname()[1]}"
        ended = bertexp("model=small_bert_l4", "dataset=imdb", cwd=tmp_path, https_proxy=proxy, http_proxy=proxy)
    assert ended.status == 2
    assert "aclImdb_v1.tar.gz" in ended.err
    assert "small_bert" in ended.err
    assert "dataset.path=" in ended.err
    assert "dataset.url=" in ended.err
    assert "python -m bertexp model=small_bert_l4 dataset=reviews model.source=random" in ended.err
    assert ended.seconds < 30  # 5 s are spent on the probe; the rest is a busy machine's
    assert list(tmp_path.iterdir()) == []


def test_the_offline_line_plans_a_run_that_downloads_nothing(tmp_path):
    ended = bertexp("model=small_bert_l4", "model.source=random", "dataset=reviews", "run.dry=true", cwd=tmp_path)
    assert ended.status == 0, ended.err
    assert "downloads  nothing" in ended.out
    assert "4,000" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_group():
    ended = bertexp("--help")
    assert ended.status == 0
    for word in (
        "model",
        "dataset",
        "trainable",
        "optimizer",
        "trainer",
        "tracking",
        "experiment",
        "predict",
        "doctor",
    ):
        assert word in ended.out
    assert "layers, 128 wide" in ended.out


def test_help_into_a_pager_that_is_left_says_nothing_more():
    command = [sys.executable, "-m", "bertexp", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE


def test_tab_completion_offers_options_and_settings():
    assert "model=small_bert_l12" in bertexp("-sc", "query=bash", COMP_LINE="bertexp model=small_bert_l1").out
    assert "optimizer.learning_rate=" in bertexp("-sc", "query=bash", COMP_LINE="bertexp optimizer.lea").out
