"""Every command that bertexp prints can be pasted into a shell: it is read back as what it was made from."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hydra.core.config_store import ConfigStore

import bertexp.__main__ as door
from bertexp.commands import COMMANDS, compare, encode, predict, ui
from bertexp.config import words
from bertexp.config.resolve import compose_config
from bertexp.config.schema import SweepConfig
from bertexp.config.words import split_overrides
from bertexp.data.encoded.encoding import Encoding
from bertexp.runs import runner
from bertexp.runs.folder import find_run
from bertexp.runs.record import RunRecord
from bertexp.sweeps.progress import describe_end
from bertexp.sweeps.reporting.report import make_recipe
from bertexp.sweeps.start import name_sweep
from bertexp.sweeps.work.summary import SweepSummary, TrialSummary
from bertexp.tasks.registry import find_task
from bertexp.tracking.base import Tracker

AWKWARD = ["two words, [x]=(1)", "it's \\ü {y}", "$HOME `ls`;rm~ & #1"]


def printed(text: str, label: str) -> list[str]:
    """The words of the command after ``label``, as a POSIX shell parts them."""
    (line,) = re.findall(rf"{re.escape(label)}\s+(python -m bertexp.*)", text)
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    command = line.replace("python -m bertexp", f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}", 1)
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def composed(line: list[str]):
    """What a run of these words would be."""
    flags, settings = words.part_flags(line)
    assert not flags
    return compose_config(settings)[0]


@pytest.fixture
def record(tmp_path, monkeypatch, request):
    """The record of a run in an outputs folder with an awkward name, which is the working folder's neighbour."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    given = [
        words.write("run.outputs_dir", f"../{request.param}"),
        words.write("run.name", request.param),
        words.write("tracking.uri", f"sqlite:///{tmp_path}/{request.param}.db"),
    ]
    config, folder = compose_config(given)
    record = RunRecord(config, tmp_path / "here" / folder, given, "fingerprint")
    record.folder.update_info(overrides=given, state="running", parameters={}, started="1")
    return record


awkward = pytest.mark.parametrize("record", AWKWARD, indirect=True)


@awkward
def test_the_farewell_of_a_run(record, capsys):
    record.tracker = SimpleNamespace(run_id="a" * 32)
    runner.say_farewell(record, SimpleNamespace(has_pair=True, spec=find_task("classification")), exported=True)
    said = capsys.readouterr().out
    name, *line = printed(said, "see it")
    seen, _ = compose_config(ui._parser().read(line).settings)
    assert name == "ui"
    assert (seen.run.outputs_dir, seen.tracking.uri) == (record.config.run.outputs_dir, record.config.tracking.uri)
    name, *line = printed(said, "use it")
    options = predict._parser().read(line)
    assert name == "predict"
    assert find_run(options.run, options.outputs_dir).path == record.folder.path
    assert len(options.text) == 2
    assert composed(printed(said, "repeat it")) == record.config


@awkward
def test_how_an_interrupted_run_goes_on(record, capsys, monkeypatch):
    (record.folder.checkpoints / "step-1").mkdir(parents=True)
    record.tracker = Tracker()
    with contextlib.suppress(KeyboardInterrupt), record.running():
        raise KeyboardInterrupt
    executed = []
    monkeypatch.setattr(runner, "execute", lambda *given: executed.append(given))
    runner.run(printed(capsys.readouterr().out, "go on with:"))
    config, folder, overrides, _ = executed.pop()
    assert folder == record.folder.path
    assert overrides == record.overrides
    assert config.run == record.config.run


@pytest.mark.parametrize("value", AWKWARD)
def test_a_sweep_asked_for_without_its_flag(value, monkeypatch, capsys):
    given = ["sweep=lr_warmup", words.write("sweep.name", value), words.write("run.name", value)]
    monkeypatch.setattr(sys, "argv", ["bertexp", *given])
    with pytest.raises(SystemExit, match="2"):
        door.main()
    flags, settings = words.part_flags(printed(capsys.readouterr().err, "runs with -m:"))
    assert list(flags) == ["--multirun"]
    assert name_sweep(settings).spec.name == value


@pytest.mark.parametrize("value", AWKWARD)
def test_the_end_of_a_sweep(value, tmp_path):
    given = [words.write("run.name", value), words.write("dataset.label_column", value)]
    expressions = [f"dataset.text_column={words.write('x', [value])[3:-1]},b", "optimizer.learning_rate=1e-4,1e-3"]
    spec = name_sweep([*given, *expressions]).spec
    point = next(spec.space.grid())
    row = TrialSummary(0, "completed", point, (0.5,), derived=("trainer.validate_every_steps=3",))
    summary = SweepSummary(spec, SweepConfig(), (row,), (0,), (words.write("run.outputs_dir", value),))
    folder = tmp_path / value
    said = describe_end(summary, folder)
    best = composed(printed(said, "best again"))
    assert (best.run.name, best.run.outputs_dir, best.dataset.text_column) == (value, value, value)
    assert best.optimizer.learning_rate == 1e-4
    name, *line = printed(said, "compare")
    assert (name, compare._parser().read(line).runs) == ("compare", [str(folder)])
    again = composed(printed(make_recipe(summary), "command:"))
    assert (again.dataset, again.optimizer) == (best.dataset, best.optimizer)


def test_a_run_with_a_folder_of_options_is_repeated_with_it(tmp_path, monkeypatch):
    folder = tmp_path / "my options"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "slow.yaml").write_text("learning_rate: 1e-4")
    monkeypatch.setattr(runner, "execute", lambda *given: executed.append(given))
    executed = []
    line = ["--config-dir", str(folder), "optimizer=slow", f"run.outputs_dir={tmp_path}"]
    try:
        for _ in range(2):
            monkeypatch.setattr(sys, "argv", ["bertexp", *line])
            door.main()
            config, _, overrides, _ = executed.pop()
            line = printed(f"repeat it  {RunRecord(config, tmp_path, overrides, '').command}", "repeat it")
            assert config.optimizer.learning_rate == 1e-4
            assert line[:2] == ["--config-dir", str(folder)]
            del ConfigStore.instance().repo["optimizer"]["slow.yaml"]  # another process begins anew
    finally:
        ConfigStore.instance().repo["optimizer"].pop("slow.yaml", None)


@pytest.mark.parametrize("value", AWKWARD)
def test_the_training_that_follows_an_encoding(value, tmp_path, capsys):
    model = ["model=distilbert_base_uncased", words.write("model.path", f"/{value}")]
    config, _ = compose_config([*model, "dataset.max_length=64"])
    encoding = Encoding(
        *("tfrecord", "multi_label", ("a", "b"), False, 64, "truncate_tail", "v", True, "d", "n", "s"),
        shards={"train": (1,)},
        versions={},
    )
    encode._say_farewell(encoding, tmp_path / value, 1, config)
    trained = composed(printed(capsys.readouterr().out, "train     "))
    assert trained.model == config.model
    assert (trained.dataset.name, trained.dataset.path) == ("tfrecord", str(tmp_path / value))
    assert (trained.dataset.max_length, trained.dataset.long_text) == (64, "truncate_tail")
    assert trained.task.name == "multi_label"


def test_every_example_of_a_commands_help_is_read():
    for name in COMMANDS:
        module = __import__(f"bertexp.commands.{name}", fromlist=["main"])
        for line in re.findall(r"python -m bertexp (.*)", getattr(module, "EXAMPLES", "")):
            first, *rest = shlex.split(line.split(" < ")[0])
            if first in COMMANDS:
                options = module._parser().read(rest)
                assert not hasattr(options, "settings") or split_overrides(options.settings)[0]
            else:
                assert compose_config([first, *rest])
