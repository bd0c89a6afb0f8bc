"""What stands on the terminal: labels, tables, progress."""

import io
import sys
from types import SimpleNamespace

import pytest

from bertexp.system import console
from bertexp.system.console import Progress, align, aligned, labelled, quiet, say, widths_of


def test_a_label_takes_ten_characters():
    assert labelled("run", "/a") == "run        /a"
    assert labelled("", 7) == "           7"
    assert labelled("best again", "x") == "best again x"


def test_columns_are_as_wide_as_their_widest_cell():
    rows = [["pair", "verdict"], ["A - B", "better"]]
    assert widths_of(rows) == [5, 7]
    assert aligned(rows) == ["pair   verdict", "A - B  better"]
    assert aligned([["", "rows", "p50"], ["train", "1,000", "7"]], left=1) == ["        rows  p50", "train  1,000    7"]
    assert align(["3", "x"], [5, 2], left=0) == "    3   x"
    assert aligned([]) == []


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_progress_is_a_line_now_and_then(clock, capsys):
    with Progress("tokens", 10_000, "texts") as progress:
        for seconds in (1, 10, 16, 20, 40):
            clock.now = seconds
            progress.advance(1000)
    assert capsys.readouterr().out.splitlines() == [
        "tokens     3,000 of 10,000 texts, 37 s left",
        "tokens     5,000 of 10,000 texts, 40 s left",
    ]


def test_what_is_left_is_reckoned_after_a_slow_beginning(clock):
    told = []
    progress = Progress("", 10, "step", done=2, line=lambda done, _, left: f"{done}: {left:g}", tell=told.append)
    clock.now = 100.0
    progress.begin_after(1)
    assert told == []
    clock.now = 120.0
    progress.advance(2)
    assert told == ["5: 50"]


def test_a_total_may_be_unknown(clock):
    told = []
    progress = Progress("x", None, "B", line=lambda done, _, left: f"{done} {left:g}", tell=told.append)
    clock.now = 20.0
    progress.advance(7)
    assert told == ["7 0"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_no_lines_but_those_told(monkeypatch, capsys, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("tokens", 100, "texts", leave=True) as progress:
        assert progress.is_bar
        clock.now = 50.0
        progress.advance(40, {"train/loss": 0.25})
        progress.tell("a line")
        progress.advance(60)
    shown = sys.stderr.getvalue()
    assert "tokens" in shown
    assert "100/100" in shown
    assert "loss=0.250" in shown
    assert capsys.readouterr().out == "a line\n"


def test_what_is_said_quietly_shows_no_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with quiet():
        say("hidden")
        assert not Progress("tokens", 1, "texts").is_bar
    say("shown")
    assert capsys.readouterr().out == "shown\n"
    assert sys.stderr.getvalue() == ""
