"""Composition, checks and messages, as a user at the shell meets them."""

from __future__ import annotations

import pytest

from bertexp.commands import refuse
from bertexp.config.catalog import all_settings, check_overrides
from bertexp.config.resolve import compose_config, flat_parameters
from bertexp.config.store import group_options
from bertexp.errors import BertexpError, ConfigError


def message_of(*overrides: str) -> str:
    with pytest.raises(BertexpError) as caught:
        compose_config(overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.learning_rat=1", "did you mean 'optimizer.learning_rate'"),
        ("learning_rate=1", "did you mean"),
        ("modle=tiny", "did you mean 'model'"),
        ("model=small_bert_l5", "did you mean 'small_bert_l"),
        ("dataset=imbd", "did you mean 'imdb'"),
        ("experiment=quickstrat", "did you mean 'quickstart'"),
        ("+anything=1", "anything is not a setting"),
        ("model.source=hugingface", "did you mean 'huggingface'"),
        ("trainer.batch_size=0", "trainer.batch_size=0 must be greater than 0"),
        ("optimizer.warmup_fraction=1.5", "must be at least 0 and less than 1"),
        ("dataset.max_length=1024", "8 .. 512"),
        ("run.seed=-1", "run.seed=-1"),
        ("trainable=frozen", "model.source=random"),
        ("trainable.top_layers=2", "choose trainable=top_layers"),
        ("trainer.monitor=train/loss", "must be a validation metric"),
        ("trainer.monitor=val/acuracy", "did you mean 'val/accuracy'"),
        ("trainer.gradient_clip_norm=nan", "trainer.gradient_clip_norm=nan must be a finite number, greater than 0"),
        ("export.tolerance=inf", "export.tolerance=inf must be a finite number, greater than 0"),
        ("run.outputs_dir=", "run.outputs_dir is empty"),
        ("trainer.resume=''", "trainer.resume is empty"),
        ("hydra.run.dir=", "hydra.run.dir is empty"),
        ("sweep.name=../../x", "sweep.name=../../x must be one name without /"),
        ("model.name=..", "model.name=.. must be one name without /"),
        ("~dataset", "~dataset takes dataset away, and nothing takes its place"),
        ("optimizer=null", "optimizer=null takes optimizer away"),
        ("debug=null", "debug=null takes debug away"),
        ("~trainer.max_steps", "~trainer.max_steps takes trainer.max_steps away"),
        ("tracking=[none,mlflow]", "names several options of tracking, which takes one"),
        ("trainer.precision=bfloat16", "did you mean 'mixed_bfloat16'"),
        ("trainer.activation_cache_gb=-1", "must be at least 0"),
        ("task.threshold=0.3", "task.threshold is a setting of task=multi_label and of no other task; leave it out"),
        ("a=[1", "cannot be read"),
    ],
)
def test_a_mistake_is_named_with_its_cure(override, expected):
    assert expected in message_of(override)


def test_what_a_run_can_do_without_may_be_taken_away():
    check_overrides(["~sweep", "~experiment", "~debug"])


def test_a_first_word_that_is_no_command_gets_the_nearest_one():
    assert "did you mean 'predict'" in str(refuse("preditc"))
    with pytest.raises(ConfigError, match="'preditc' is not a setting"):
        compose_config(["preditc"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["task=question_answering", "dataset.long_text=truncate_tail"], "leave it out"),
        (["task=tagging", "dataset.long_text=windows"], "leave it out"),
        (["trainer.jit_compile=true", "dataset.long_text=windows"], "drop one of them"),
        (["dataset=mrpc", "task=regression"], "f1, which may be the data set's own, .*: leave task=regression out"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(words, expected):
    with pytest.raises(ConfigError, match=expected):
        compose_config(words)


def test_settings_that_depend_on_others_are_filled():
    random, _ = compose_config(["model.hidden_size=256"])
    assert random.model.num_heads == 4
    assert random.optimizer.learning_rate > 1e-4
    pretrained, _ = compose_config(["model=small_bert_l4", "dataset=imdb"])
    assert (pretrained.optimizer.learning_rate, pretrained.trainer.max_epochs) == (3e-5, 5)
    assert (pretrained.dataset.max_length, pretrained.trainer.batch_size) == (128, 32)
    by_steps, _ = compose_config(["trainer.max_steps=10"])
    assert (by_steps.trainer.max_epochs, by_steps.trainer.max_steps) == (None, 10)


def test_one_value_keeps_its_dotted_name_from_yaml_to_the_parameter():
    config, _ = compose_config(["optimizer=adam", "optimizer.learning_rate=1e-4"])
    assert flat_parameters(config)["optimizer.learning_rate"] == 1e-4
    assert flat_parameters(config)["optimizer.epsilon"] == 1e-8
    of_other_tasks = {"task.threshold", "task.max_answer_length"}
    of_a_run = {name for name in all_settings() if not name.startswith("sweep.")} - of_other_tasks
    assert set(flat_parameters(config)) == of_a_run


def test_every_option_of_every_group_composes_and_explains_itself():
    for group, options in group_options().items():
        for option, sentence in options.items():
            assert sentence, f"{group}/{option} has no comment on its first line"
            extra = ["model=small_bert_l4"] if group == "trainable" else []
            extra += ["dataset.path=."] if option == "files" else []
            compose_config([*extra, f"{group}={option}"])


def test_sweeps_over_groups_are_checked_option_by_option():
    check_overrides(["model=small_bert_l2,small_bert_l4", "optimizer.learning_rate=choice(1e-5,3e-5)"])
    with pytest.raises(ConfigError, match="small_bert_l3"):
        check_overrides(["model=small_bert_l2,small_bert_l3"])


def test_a_home_folder_is_understood_where_the_shell_leaves_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/some one")
    config, _ = compose_config(["dataset=files", "dataset.path=~/texts/a.csv", "run.outputs_dir=~"])
    assert config.dataset.path == "/home/some one/texts/a.csv"
    assert config.run.outputs_dir == "/home/some one"
