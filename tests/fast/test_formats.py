"""What a later bertexp wrote is refused in one sentence; what an earlier one wrote is read."""

from __future__ import annotations

import json

import pytest

from bertexp.commands import compare, predict
from bertexp.config.resolve import compose_config, flat_parameters
from bertexp.errors import ConfigError, FormatUnknown, RunNotFound
from bertexp.runs.folder import FORMAT, RunFolder, with_former_overrides
from bertexp.runs.record import RunRecord
from bertexp.serving.spec import read_about

WORDS = ["tracking=none", "trainer.max_epochs=2"]


def write(folder, **changes):
    """A run as commit 8e6fea5 left it, without a format number."""
    parameters = flat_parameters(compose_config(WORDS)[0])
    info = {"state": "interrupted", "overrides": WORDS, "parameters": parameters, "data_fingerprint": "abc"} | changes
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(info))
    return RunFolder(folder)


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: RunFolder(folder).info,
        lambda folder: RunFolder(folder).update_info(state="completed"),
        lambda folder: with_former_overrides([f"trainer.resume={folder}"]),
        lambda folder: compare.main([str(folder), str(folder.parent / "other")]),
        lambda folder: predict.main([str(folder), "a text"]),
    ],
    ids=["read", "write", "resume", "compare", "predict"],
)
def test_a_run_of_a_later_format_is_refused_in_one_sentence(tmp_path, read):
    write(tmp_path / "other")
    write(tmp_path / "later", format=FORMAT + 1)
    with pytest.raises(FormatUnknown) as told:
        read(tmp_path / "later")
    assert str(tmp_path / "later" / "run.json") in str(told.value)
    assert "upgrade bertexp" in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_so_is_an_exported_model(tmp_path):
    (tmp_path / "bertexp.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(FormatUnknown, match=r"bertexp\.json has format 99"):
        read_about(tmp_path)


def test_a_run_without_a_number_is_read_and_gets_one(tmp_path):
    run = write(tmp_path / "former")
    assert run.info["format"] == 1
    run.update_info(state="completed")
    assert json.loads((run.path / "run.json").read_text())["format"] == FORMAT


def resume(run, *words):
    config, _ = compose_config([*WORDS, *words])
    config.trainer.resume = str(run.path)
    return RunRecord(config, run.path, [*WORDS, *words], "abc")


def test_a_setting_that_the_run_does_not_know_counts_as_what_its_words_mean_now(tmp_path):
    parameters = flat_parameters(compose_config(WORDS)[0])
    del parameters["optimizer.epsilon"], parameters["dataset.split_seed"]
    run = write(tmp_path / "former", parameters=parameters | {"trainer.left_since": 7})
    assert resume(run).resumed
    with pytest.raises(ConfigError, match=r"settings: dataset\.split_seed was 42 and is 43;"):
        resume(run, "dataset.split_seed=43")


def test_a_run_that_was_killed_before_it_had_begun_is_none_to_resume(tmp_path):
    run = RunFolder(tmp_path)
    run.update_info(mlflow_run_id="0123456789abcdef")
    with pytest.raises(RunNotFound, match="holds no run to resume"):
        resume(run)


def test_a_resumed_run_keeps_its_first_words(tmp_path):
    run = write(tmp_path / "former")
    config, _ = compose_config([*WORDS, "trainer.log_every_steps=3"])
    config.trainer.resume = str(run.path)
    with RunRecord(config, run.path, ["trainer.log_every_steps=3"], "abc").running():
        pass
    assert run.info["overrides"] == [*WORDS, "trainer.log_every_steps=3"]
    assert run.info["state"] == "completed"
