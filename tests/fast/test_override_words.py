"""Override words: read once, by one reader; and the commands that bertexp prints can be pasted and run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import bertexp.__main__ as door
from bertexp.commands import compare, encode, predict
from bertexp.config import words
from bertexp.config.resolve import compose_config, words_of_model
from bertexp.errors import BertexpError, ConfigError, NetworkError, RunNotFound
from bertexp.runs import runner
from bertexp.runs.folder import with_former_overrides
from bertexp.runs.plan import make_plan
from bertexp.runs.record import RunRecord
from bertexp.system import downloads

AWKWARD = [
    "a",
    "two words",
    "it's",
    'say "x"',
    "a,b",
    "[x]",
    "{x}",
    "$HOME",
    "a=b",
    "~",
    "x\\",
    "null",
    "1e5",
    "ü",
    "(1)",
    "",
]


def composed_from(line: str):
    """The config of a printed command, as the shell and the door read it."""
    prefix, _, rest = line.partition("python -m bertexp")
    assert not prefix
    flags, settings = words.part_flags(shlex.split(rest))
    assert not flags
    return compose_config(settings)[0]


@pytest.mark.parametrize("value", [*AWKWARD, None, True, 3, 1e-5, ["a", "b c", ["d,e"]], {"a": 1, "b": "x y"}])
def test_what_is_written_is_read_again(value):
    word = words.read(words.write("dataset.path", value))
    assert (word.key, word.is_sweep, word.value) == ("dataset.path", False, value)
    assert type(word.value) is type(value)


@pytest.mark.parametrize(
    ("text", "key", "is_sweep", "expression", "listed"),
    [
        ("model=tiny", "model", False, "tiny", ["tiny"]),
        ("run.name='a=b'", "run.name", False, "'a=b'", ["a=b"]),
        ("++trainer.max_steps=2", "trainer.max_steps", False, "2", ["2"]),
        ("model=tiny,custom", "model", True, "tiny,custom", ["tiny", "custom"]),
        ("model=glob(small_*)", "model", True, "glob(small_*)", []),
        ("optimizer.learning_rate=interval(0,1)", "optimizer.learning_rate", True, "interval(0,1)", []),
        ("~sweep", "sweep", False, "", []),
        ("~model=tiny", "model", False, "tiny", []),
    ],
)
def test_a_word_has_a_key_and_what_it_lists(text, key, is_sweep, expression, listed):
    word = words.read(text)
    assert (word.key, word.is_sweep, word.expression, word.listed) == (key, is_sweep, expression, listed)


def test_words_are_found_dropped_and_replaced_by_their_keys(monkeypatch):
    given = ["model=tiny", "model.dropout=0.2", "modelling.x=1", "run.outputs_dir=~/x", "model.dropout=0.3"]
    monkeypatch.setenv("HOME", "/home/o'hara")
    assert words.value_of(given, "run.outputs_dir") == "/home/o'hara/x"
    assert words.value_of(given, "model.dropout") == 0.3
    assert words.value_of(given, "run.seed", 42) == 42
    assert words.only(given, "model") == ["model=tiny", "model.dropout=0.2", "model.dropout=0.3"]
    assert words.without(given, "model") == ["modelling.x=1", "run.outputs_dir=~/x"]
    assert words.replace(given, ["model.dropout=0.4"]) == [
        *("model=tiny", "modelling.x=1", "run.outputs_dir=~/x", "model.dropout=0.4")
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--cfgg"], "did you mean '--cfg'"),
        (["--cfg"], "needs one of job, hydra, all"),
        (["--cfg", "model=tiny"], "needs one of job, hydra, all"),
        (["--config-dir"], "needs a value"),
        (["--experimental-rerun", "job.pickle"], "is not a flag"),
        (["--config-path=pkg://evil"], "is not a flag"),
        (["--config-name", "other"], "is not a flag"),
        (["--resolve"], "add --cfg job"),
        (["-m", "--cfg", "job"], "--multirun and --cfg do not go together"),
        (["--config-d=x"], "is not a flag"),  # no abbreviations, by which a flag could slip through
    ],
)
def test_flags_are_known_and_whole(line, told):
    with pytest.raises(ConfigError, match=told):
        words.part_flags(line)


def test_flags_may_stand_anywhere():
    assert words.part_flags(["a=1", "-i", "b=2", "c=3", "--config-dir=x"]) == (
        {"--info": "", "--config-dir": "x"},
        ["a=1", "b=2", "c=3"],
    )


# what is typed, at each of the doors


@pytest.fixture
def finished(tmp_path, monkeypatch) -> Path:
    """A home folder whose outputs hold one run that can be resumed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "x" / "runs" / "an interrupted run"
    run.mkdir(parents=True)
    overrides = ["model.hidden_size=64", "optimizer.learning_rate=0.01", "run.outputs_dir=~/x", "trainer.resume=last"]
    (run / "run.json").write_text(json.dumps({"state": "interrupted", "overrides": overrides, "started": "1"}))
    return run


def through_the_door(monkeypatch, *line: str) -> tuple:
    monkeypatch.setattr(sys, "argv", ["bertexp", *line])
    door.main()
    return executed.pop()


executed: list[tuple] = []


@pytest.fixture
def execute(monkeypatch):
    monkeypatch.setattr(runner, "execute", lambda *given: executed.append(given))


@pytest.mark.usefixtures("execute")
def test_a_run_resumed_from_python_is_the_one_resumed_from_the_shell(finished, monkeypatch):
    line = ["trainer.resume=last", "run.outputs_dir=~/x", "optimizer.learning_rate=0.02"]
    runner.run(line)
    config, folder, overrides, _ = executed.pop()
    assert (config, folder, overrides) == through_the_door(monkeypatch, *line)[:3]
    assert folder == finished
    assert (config.trainer.resume, config.model.hidden_size, config.optimizer.learning_rate) == ("last", 64, 0.02)
    # the run's own words are kept: the next resume finds them again
    assert words.without(overrides, "run.outputs_dir") == ["model.hidden_size=64", "optimizer.learning_rate=0.02"]


@pytest.mark.parametrize("flag", [["--run"], ["--config-dir", "."]])
@pytest.mark.usefixtures("execute")
def test_words_are_checked_and_runs_resumed_whatever_flags_are_given(finished, monkeypatch, flag):
    line = ["trainer.resume=last", *flag, "run.outputs_dir=~/x"]
    config, folder, _, _ = through_the_door(monkeypatch, *line)
    assert (folder, config.model.hidden_size) == (finished, 64)
    monkeypatch.setattr(sys, "argv", ["bertexp", *flag, "optimizer.learning_rat=1"])
    with pytest.raises(SystemExit, match="2"):
        door.main()


@pytest.mark.usefixtures("finished")
def test_hydras_pages_show_the_resumed_run_too(monkeypatch):
    shown = []
    monkeypatch.setattr(door, "work_on_sweep", lambda: shown.append(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["bertexp", "trainer.resume=last", "--cfg", "job", "run.outputs_dir=~/x"])
    door.main()
    assert shown[0][:3] == ["--cfg", "job", "model.hidden_size=64"]


def test_a_run_that_ended_before_its_words_were_written_cannot_be_resumed(finished):
    (finished / "run.json").write_text('{"mlflow_run_id": "a"}')
    with pytest.raises(RunNotFound, match="ended before it had begun"):
        with_former_overrides(["trainer.resume=last", "run.outputs_dir=~/x"])


@pytest.mark.parametrize(
    ("recorded", "resumed"),
    [
        (["task=regression", "task.binary_head=softmax", "task.threshold=0.5"], ["task=regression"]),
        (["task.name=regression", "task.main_metric=mae"], ["task=regression", "task.main_metric=mae"]),
    ],
)
def test_a_recorded_run_goes_on_without_the_settings_of_other_tasks_that_it_was_given(finished, recorded, resumed):
    flat = {"task.name": "regression", "task.binary_head": "softmax", "task.threshold": 0.5, "task.main_metric": "mae"}
    (finished / "run.json").write_text(json.dumps({"overrides": recorded, "parameters": flat}))
    former = with_former_overrides(["trainer.resume=last", "run.outputs_dir=~/x"])
    assert words.only(former, "task") == resumed


@pytest.mark.parametrize(
    ("source", "known", "added"),
    [
        ("huggingface", {}, ["model.strip_accents=true"]),
        ("huggingface", {"model.strip_accents": None}, []),
        ("random", {}, []),
    ],
)
def test_a_run_that_knew_no_choice_goes_on_without_accents(finished, source, known, added):
    """Before, they were taken off whatever tokenizer_config.json said."""
    flat = {"task.name": "classification", "model.source": source} | known
    (finished / "run.json").write_text(json.dumps({"overrides": ["model.hidden_size=64"], "parameters": flat}))
    former = with_former_overrides(["trainer.resume=last", "run.outputs_dir=~/x"])
    assert words.only(former, "model.strip_accents") == added


@pytest.mark.parametrize("where", [["run.outputs_dir=~/x"], ["--outputs-dir", "~/x"], ["--outputs-dir=~/x"]])
def test_the_home_folder_is_understood_by_the_commands(finished, where):
    assert finished.exists()
    with pytest.raises(RunNotFound, match=r"an interrupted run .* has no exported model"):
        predict.main(["last", "a text", *where])
    with pytest.raises(ConfigError, match=r"is one \(x/runs/an interrupted run\)"):
        compare.main(["last", "an interrupted run", *where])


def test_texts_are_left_as_they_are():
    texts = ["score=~", "~", "file=x", "model=tiny", "a=[1", "json=1"]
    options = predict._parser().read(["last", *texts, "--", "--json", "run.outputs_dir=y"])
    assert options.text == [*texts, "--json", "run.outputs_dir=y"]
    assert not options.json
    assert options.outputs_dir == "outputs"


@pytest.mark.parametrize(
    ("command", "line", "told"),
    [
        (predict, [], "predict: .*required: RUN"),
        (predict, ["last", "--fiel", "x"], "did you mean '--file'"),
        (predict, ["last", "--batch-size", "0"], "0 is not a whole number above 0"),
        (compare, ["last", "--output"], "expected one argument"),
        (encode, ["--out", "x", "dataset.lenght=9"], "did you mean 'dataset.max_length'|not a setting"),
        (encode, ["--out", "x", "reviews"], "reviews is no setting of encode"),
    ],
)
def test_wrong_use_of_a_command_is_one_sentence(command, line, told):
    with pytest.raises(BertexpError, match=told) as caught:
        command.main(line)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "line", [["out=x", "shards=3", "dataset=reviews"], ["--out", "x", "dataset=reviews", "--shards=3"]]
)
def test_a_commands_own_words_have_a_new_and_an_old_form(line):
    options = encode._parser().read(line)
    assert (options.out, options.shards, options.format, options.settings) == ("x", 3, "tfrecord", ["dataset=reviews"])


# what is printed


@pytest.mark.parametrize("value", AWKWARD)
def test_the_line_that_repeats_a_run_makes_the_same_config(tmp_path, value):
    given = [
        words.write("run.name", f"x{value}"),
        "model.hidden_size=64",
        words.write("dataset.label_names", [value, "b"]),
    ]
    config, _ = compose_config(given)
    config.trainer.fast_dev_run = True  # no tracker
    record = RunRecord(config, tmp_path / value.replace("/", ""), [*given, "trainer.resume=last"], "fingerprint")
    assert composed_from(record.command) == compose_config(given)[0]


@pytest.mark.parametrize(
    "given",
    [
        ["model=small_bert_l4", "dataset=imdb"],
        ["model=small_bert_l4", "dataset=files", "dataset.path={folder}/my reviews.csv", "trainable=frozen"],
        ["model=minilm_l6", "dataset=mrpc", "model.pooling=cls"],
        ["experiment=xquad_minilm"],
        ["experiment=stsb_minilm"],
        ["experiment=mrpc_distilbert", "model=tiny"],
        ["model=bert_base_uncased", "task=tagging", "dataset=wnut17"],
    ],
)
def test_the_offline_line_runs_offline(tmp_path, monkeypatch, capsys, given):
    (tmp_path / "my reviews.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 20)
    given = [words.write(*word.format(folder=tmp_path).split("=", 1)) if " " in word else word for word in given]
    given.append(words.write("run.outputs_dir", str(tmp_path)))
    monkeypatch.setattr(downloads, "probe", lambda urls: dict.fromkeys(urls, "no route to host"))
    with pytest.raises(NetworkError, match="or run offline right away: ") as caught:
        make_plan(compose_config(given)[0], given)
    line = str(caught.value).split("right away: ")[1]
    if "dataset=files" in given:
        assert "my reviews.csv" in line
    monkeypatch.setattr(sys, "argv", ["bertexp", *shlex.split(line.removeprefix("python -m bertexp")), "run.dry=true"])
    door.main()
    assert "downloads  nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given",
    [
        ["model=small_bert_l4", "model.hidden_size=128"],
        ["experiment=imdb_hub_bert_base", "model.path=/my weights/bert"],
        ["model=distilbert_base_uncased", "model.name=mine", "model.lowercase=true"],
    ],
)
def test_the_model_of_a_config_can_be_asked_for_again(given):
    config, _ = compose_config(given)
    assert compose_config(words_of_model(config))[0].model == config.model


def test_a_resumed_run_is_shown_with_the_recipe_that_it_began_with(finished):
    info = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps(info | {"overrides": ["experiment=imdb_small_bert"]}))
    words = ["--cfg", "job", f"trainer.resume={finished}", "model.dropout=0.3"]
    shown = subprocess.run([sys.executable, "-m", "bertexp", *words], capture_output=True, text=True)
    assert "name: small_bert_l4" in shown.stdout, shown.stderr
