"""What a user writes after ``-m`` becomes the space that is searched, or one sentence that names the mistake."""

from __future__ import annotations

import pytest

from bertexp.config.resolve import compose_config
from bertexp.config.words import split_overrides
from bertexp.errors import BertexpError, ConfigError
from bertexp.sweeps.space import Dimension, as_override, make_space
from bertexp.sweeps.spec import choose_sampler, count_trials
from bertexp.sweeps.start import begin_sweep, count_workers, name_sweep

LR, WARMUP = "optimizer.learning_rate", "optimizer.warmup_fraction"


def only(expression: str, options: tuple[str, ...] = ()) -> Dimension:
    return make_space({"x": expression}, {"x": options}).dimensions[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("interval(0,0.3)", Dimension(name="x", low=0.0, high=0.3)),
        ("interval(1,5)", Dimension(name="x", low=1.0, high=5.0)),
        ("int(interval(1,8))", Dimension(name="x", low=1, high=8, step=1)),
        ("tag(log,interval(1e-5,3e-4))", Dimension(name="x", low=1e-5, high=3e-4, log=True)),
        ("tag(log,int(interval(8,64)))", Dimension(name="x", low=8, high=64, log=True)),
        ("range(1,10,3)", Dimension(name="x", low=1, high=7, step=3)),  # Hydra's stop is not among the values
        ("range(0,1,0.25)", Dimension(name="x", low=0.0, high=0.75, step=0.25)),
        ("tag(log,range(1,9))", Dimension(name="x", low=1, high=8, log=True)),
        ("3e-5,1e-4", Dimension(name="x", choices=(3e-5, 1e-4))),
        ("choice(a,b)", Dimension(name="x", choices=("a", "b"))),
        ("true,false", Dimension(name="x", choices=(True, False))),
        ("null,4", Dimension(name="x", choices=("null", 4))),
        ("'x y',z", Dimension(name="x", choices=("'x y'", "z"))),
        ("[1,2],[3]", Dimension(name="x", choices=("[1,2]", "[3]"))),
        ("sort(3,1,2)", Dimension(name="x", choices=(1, 2, 3))),
    ],
)
def test_hydras_sweep_syntax_as_a_table(expression, expected):
    assert only(expression) == expected


def test_the_place_of_a_value_sees_through_the_rounding_of_its_step():
    tenths = only("range(0,0.5,0.1)")
    assert [tenths.place(value) for value in tenths.values()] == [0, 1, 2, 3, 4]
    assert tenths.place(0.3) == tenths.place(0.1 + 0.2) == 3
    assert only("int(interval(3,9))").place(5) == 2
    assert only("a,b").place("b") == 1
    assert only("interval(0,1)").place(0.3) == 0.3


def test_a_glob_chooses_among_the_options_of_its_group():
    assert only("glob(small_*)", ("small_a", "tiny", "small_b")).choices == ("small_a", "small_b")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("5", "is one value"),
        ("interval(3,1)", "first bound must be the smaller"),
        ("tag(log,interval(0,1))", "begin above 0"),
        ("1,1", "names a value twice"),
        ("glob(nothing*)", "has no values"),
        ("choice(", "cannot be read"),
    ],
)
def test_an_impossible_space_is_named(expression, told):
    with pytest.raises(ConfigError, match=told):
        only(expression)


@pytest.mark.parametrize("expression", ["3e-5,1e-4", "true,false", "null,4", "'x y',z", "[1,2],[3]", "range(1,10,3)"])
def test_a_value_goes_back_to_the_command_line_as_it_came(expression):
    for value in only(expression).values():
        fixed, swept = split_overrides([as_override("trainer.max_steps", value)])
        assert len(fixed) == 1
        assert not swept


def test_a_grid_lists_every_point_in_hydras_order():
    space = make_space({"a": "1,2", "b": "range(0,3)"}, {})
    assert space.size == 6
    assert [tuple(point.values()) for point in space.grid()] == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert make_space({"a": "1,2", "b": "interval(0,1)"}, {}).size is None


def test_the_command_line_replaces_the_space_of_the_yaml_and_a_fixed_value_ends_its_search():
    spec = name_sweep(["sweep=lr_warmup", f"{LR}=3e-5,1e-4"]).spec
    assert spec.space.describe() == {LR: "3e-05, 0.0001", WARMUP: "0 to 0.3"}
    assert name_sweep(["sweep=lr_warmup", f"{WARMUP}=0.1"]).spec.space.names == [LR]


def test_the_objective_is_the_tasks_metric_and_its_direction_follows_its_name():
    def of(*words: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        spec = name_sweep(["sweep=lr_warmup", *words]).spec
        return spec.objectives, spec.directions

    assert of() == (("val/accuracy",), ("maximize",))
    assert of("task.main_metric=mcc") == (("val/mcc",), ("maximize",))
    assert of("trainer.monitor=val/loss") == (("val/loss",), ("minimize",))
    assert of("sweep.objective=val/loss") == (("val/loss",), ("minimize",))
    assert of("sweep.objective=val/f1", "sweep.direction=minimize") == (("val/f1",), ("minimize",))
    both = "sweep.objectives=[val/accuracy,predict/latency_ms]"
    assert of(both, "sweep.pruner=none") == (("val/accuracy", "predict/latency_ms"), ("maximize", "minimize"))


def test_a_trial_keeps_the_checkpoint_that_the_objective_chooses():
    spec = name_sweep(["sweep=lr_warmup", "sweep.objective=val/f1"]).spec
    config, _ = compose_config(spec.trial_overrides({LR: 2e-5, WARMUP: 0.25}))
    assert (config.optimizer.learning_rate, config.optimizer.warmup_fraction) == (2e-5, 0.25)
    assert (config.trainer.monitor, config.trainer.monitor_mode) == ("val/f1", None)  # f1 is a higher-is-better name
    assert config.sweep.space == {}  # a trial is an ordinary run
    down = name_sweep(["sweep=lr_warmup", "sweep.objective=val/f1", "sweep.direction=minimize"]).spec
    assert "trainer.monitor_mode=min" in down.trial_overrides({})
    assert name_sweep(["sweep=lr_warmup"]).spec.trial_overrides({}) == []  # what the trainer would do anyway


def test_the_first_trials_are_the_recipes_own_values_and_the_given_ones():
    given = f"sweep.start_from=[recipe,'{LR}=2e-5 {WARMUP}=0.2']"
    spec = name_sweep(["sweep=lr_warmup", "model=small_bert_l4", given]).spec
    assert spec.first == ({LR: 3e-5, WARMUP: 0.1}, {LR: 2e-5, WARMUP: 0.2})
    assert name_sweep(["sweep=lr_warmup"]).spec.first == ()  # tiny's 1e-3 lies outside of the space
    with pytest.raises(ConfigError, match=r"must give optimizer\.warmup_fraction a value"):
        name_sweep(["sweep=lr_warmup", f"sweep.start_from=['{LR}=2e-5']"])


def test_how_many_trials_and_by_which_sampler():
    def of(*words: str) -> tuple[str, int]:
        sweep = name_sweep(words)
        return choose_sampler(sweep.config.sweep, sweep.spec.space), count_trials(sweep.config.sweep, sweep.spec.space)

    assert of("model=small_bert_l2,small_bert_l4", f"{LR}=3e-5,1e-4", "model.source=random") == ("grid", 4)
    assert of(f"{LR}=interval(1e-5,1e-4)") == ("tpe", 20)
    assert of(f"{LR}=3e-5,1e-4", "sweep.trials=9") == ("tpe", 9)
    assert of(f"{LR}=3e-5,1e-4", "sweep.trials=9", "sweep.sampler=grid") == ("grid", 2)


def test_equal_commands_are_one_sweep_and_other_settings_another():
    def name(*words: str) -> str:
        return name_sweep(["sweep=lr_warmup", *words]).spec.name

    assert name("run.seed=1") == name("run.seed=1", "sweep.trials=50", "tracking=none", "run.outputs_dir=/elsewhere")
    assert name("run.seed=1") != name("run.seed=2")
    assert name(f"{LR}=interval(1e-5,1e-4)") == name(f"{LR}=interval(1e-5,1e-3)")  # the study will refuse the second
    assert name("sweep.name=mine") == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model=tiny"], "none is swept"),
        (["sweep=lr_warmup", "sweep.objective=test/accuracy"], "would choose by the test split; take val/accuracy"),
        (["sweep=lr_warmup", "sweep.objective=val/acuracy"], "did you mean 'val/accuracy'"),
        (["sweep=lr_warmup", "sweep.objectives=[val/f1,val/loss]"], "cannot judge several objectives"),
        (["sweep=lr_warmup", "sweep.objective=val/f1", "sweep.objectives=[val/f1]"], "are both given"),
        (["sweep=lr_warmup", "sweep.sampler=gpp"], "did you mean 'gp'"),
        (["sweep.trials=2,3"], "sweep.trials cannot be swept over"),
        (["tracking.uri=a,b"], "tracking.uri cannot be swept over"),
        (["sweep=lr_warmup", "sweep.seeds=2", "run.seed=1,2"], "run.seed cannot be swept over"),
        (["sweep=lr_warmup", "sweep.start_from=['run.seed=1']"], "must give optimizer.learning_rate"),
    ],
)
def test_a_mistake_in_a_sweep_is_one_sentence(words, told):
    with pytest.raises(BertexpError, match=told):
        name_sweep(words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([f"{WARMUP}=interval(0,2)"], "optimizer.warmup_fraction=2.0 must be at least 0 and less than 1"),
        (["model=tiny,small_bert_l4", "model.path=/nowhere"], "/nowhere"),
        (["sweep=lr_warmup", "sweep.sampler=grid"], "is an interval"),
        ([f"{LR}=1e-4,1e-3", "sweep.sampler=cmaes"], "needs the package cmaes"),
        ([f"{LR}=1e-4,1e-3", "sweep.storage=sqlite:///x.db"], "must be postgresql"),
    ],
)
def test_every_bound_and_choice_is_checked_before_the_first_trial(words, told, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BertexpError, match=told):
        begin_sweep(name_sweep(words), str(tmp_path / "sweep"), workers=1)
    assert not (tmp_path / "sweep").exists()


def test_several_workers_need_a_launcher_that_runs_side_by_side():
    sweep = name_sweep(["sweep=lr_warmup", "sweep.workers=3"]).config.sweep
    basic = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
    with pytest.raises(ConfigError, match="hydra/launcher=joblib"):
        count_workers(sweep, basic)
    joblib = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "n_jobs": 4}
    assert count_workers(sweep, joblib) == 3
    sweep.workers = None
    assert count_workers(sweep, joblib) == 4
    assert count_workers(sweep, basic) == 1
