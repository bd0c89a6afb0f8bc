"""The report of a sweep: one file, true sentences, a recipe that is the best trial."""

from __future__ import annotations

import base64
import copy
import shlex
from html.parser import HTMLParser

import pytest
from hydra.core.config_store import ConfigStore
from optuna.distributions import CategoricalDistribution, FloatDistribution

from bertexp.config import store
from bertexp.config.resolve import compose_config
from bertexp.config.schema import SweepConfig
from bertexp.sweeps.progress import show_setting
from bertexp.sweeps.reporting.figures import add_legend, draw_contour, draw_importances, good_limits
from bertexp.sweeps.reporting.report import FIGURES, find_workers, make_html, make_recipe, write_report
from bertexp.sweeps.spec import SweepSpec
from bertexp.sweeps.work.summary import SweepSummary, TrialSummary

RATE, WARMUP = "optimizer.learning_rate", "optimizer.warmup_fraction"
SPACE = {RATE: "tag(log, interval(1e-5, 3e-4))", WARMUP: "interval(0, 0.3)"}
DISTRIBUTIONS = {RATE: FloatDistribution(1e-5, 3e-4, log=True), WARMUP: FloatDistribution(0, 0.3)}
RATES = (1e-5, 2e-5, 3e-5, 5e-5, 8e-5, 1e-4, 2e-4, 3e-4)


class Page(HTMLParser):
    """What a browser would load, and the texts by tag."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.texts.setdefault(self.tags[-1] if self.tags else "", []).append(data)


def make_spec(expressions=None, objectives=("val/accuracy",), directions=("maximize",), overrides=(), seeds=1):
    return SweepSpec(
        name="tiny_sweep",
        overrides=("dataset=reviews", *overrides),
        expressions=expressions or SPACE,
        objectives=objectives,
        directions=directions,
        seeds=seeds,
        base_seed=42,
        first=(),
        pruned=True,
        reports=9,
    )


def make_row(number, value=None, state="completed", point=None, seconds=100.0, **others):
    """A trial of ``seconds`` on one of two workers; a completed one has 900 steps, another 300 of them."""
    point = point or {RATE: RATES[number % 8], WARMUP: (number * 7 % 10) / 40}
    return TrialSummary(
        number=number,
        state=state,
        point=point,
        distributions={name: DISTRIBUTIONS.get(name) or CategoricalDistribution([point[name]]) for name in point},
        values=() if state != "completed" else value if isinstance(value, tuple) else (value,),
        reports={1: 0.7, 3: 0.8},
        steps=(900 if state == "completed" else 300, 900),
        segments=((f"host:{number % 2}", 1000.0 + 200 * number, 1000.0 + 200 * number + seconds),),
        **others,
    )


def summarize(rows, best=(), spec=None, local=()):
    rules = SweepConfig(sampler="tpe", pruner="hyperband")
    return SweepSummary(spec or make_spec(), rules, tuple(rows), tuple(best), tuple(local))


@pytest.fixture(scope="module")
def sweep() -> SweepSummary:
    """The learning rate decides, best at 8e-5; trial 3 is pruned, 6 failed, 9 runs; 4 is best."""
    rows = [make_row(n, 0.9 - 0.01 * abs(n % 8 - 4) - 0.001 * (n // 8)) for n in range(10)]
    rows[3] = make_row(3, state="pruned", reason="pruned at step 300 of 900")
    rows[6] = make_row(6, state="failed", reason="<script>alert('x')</script> & <b>")
    rows[9] = make_row(9, state="running")
    return summarize(rows, [4])


def test_the_page_is_one_file_with_every_picture_in_it(sweep, tmp_path):
    paths = write_report(sweep, tmp_path)
    drawn = {path.stem: path for path in paths if path.suffix == ".png"}
    assert set(drawn) == set(FIGURES) - {"pareto", "seeds"}
    assert {path.name for path in paths} - {path.name for path in drawn.values()} == {"report.html", "best.yaml"}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    start = "data:image/png;base64,"
    assert all(load.startswith(start) for load in page.loads)
    embedded = {base64.b64decode(load.removeprefix(start)) for load in page.loads}
    assert embedded == {path.read_bytes() for path in drawn.values()}
    assert all(content.startswith(b"\x89PNG") and len(content) > 3000 for content in embedded)
    assert not any(word in text for word in ("http:", "https:", "@import", "url("))
    assert not {"link", "iframe", "object", "base"} & set(page.tags)


def test_a_hostile_text_stays_a_text(sweep):
    page = Page(make_html(sweep, {}, make_recipe(sweep)))
    assert page.tags.count("script") == 1
    assert sweep.trials[6].reason in page.texts["td"]
    hostile = summarize(
        [make_row(0, 0.9, point={"model": "<img src=x>"})], [0], make_spec({"model": "'<img src=x>',tiny"})
    )
    page = Page(make_html(hostile, {}, "<img src=y>", {"test/<i>": 0.9}))
    assert not {"img", "i"} & set(page.tags)


def test_it_names_the_best_trial_its_command_and_the_figure_to_quote(sweep):
    shipped = {"test/accuracy": 0.8812, "test/loss": 0.31, "intervals": {"test/accuracy": [0.87, 0.892]}}
    page = Page(make_html(sweep, {}, "", shipped))
    sentences = " ".join(page.texts["p"])
    assert "Trial 4 is the best of 7 completed: val/accuracy 0.9000." in sentences
    assert "test/accuracy 0.8812 (95% interval 0.8700 to 0.8920), test/loss 0.3100" in sentences
    assert "The test figure is the one to quote" in sentences
    command = shlex.split(page.texts["pre"][0])
    assert command[:3] == ["python", "-m", "bertexp"]
    assert compose_config(command[3:])[0].optimizer.learning_rate == RATES[4]
    assert "7 completed, 1 pruned, 1 failed, 1 running" in page.texts["dd"]
    by_f1 = summarize(sweep.trials, [4], make_spec(objectives=("val/f1",)))
    sentences = " ".join(Page(make_html(by_f1, {}, "", shipped | {"test/f1": 0.85})).texts["p"])
    assert "has test/f1 0.8500, test/accuracy 0.8812 (95% interval" in sentences  # the interval is the accuracy's
    assert "Quote the figure of a test split" in " ".join(Page(make_html(sweep, {}, "")).texts["p"])


def test_the_spread_of_the_seeds_stands_beside_their_mean(tmp_path):
    spec = make_spec(seeds=3)
    rows = [make_row(n, 0.9 - n / 100, seed_values=((0.88 - n / 100,), (0.9,), (0.92,))) for n in range(3)]
    paths = write_report(summarize(rows, [0], spec), tmp_path)
    assert "seeds.png" in {path.name for path in paths}
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "val/accuracy 0.9000; the mean of 3 seeds, from 0.8800 to 0.9200" in text


@pytest.mark.parametrize(
    ("overrides", "point"),
    [
        (["model=small_bert_l4", "dataset=imdb", "optimizer=adam"], {RATE: 3.217e-05, WARMUP: 0.1}),
        (["experiment=quickstart", "trainer.batch_size=8"], {"model": "small_bert_l2", "trainable": "full"}),
        (["experiment=quickstart", "debug=fast"], {"trainer.batch_size": 8, "dataset.stratify": False}),
        (["run.name='a: #1, \"b\"'", "dataset.label_names=[a,'1e-3','yes']", "trainer.max_epochs=null"], {RATE: 1e-4}),
    ],
    ids=["groups", "on a recipe", "debug mode below the values", "texts that YAML could misread"],
)
def test_the_recipe_composes_to_the_best_trial(tmp_path, monkeypatch, overrides, point):
    spec = make_spec(dict.fromkeys(point, "1,2"), overrides=overrides)
    summary = summarize([make_row(0, 0.9, point=point)], [0], spec, ["run.outputs_dir='/else where'", "tracking=none"])
    best, _ = compose_config(
        shlex.split(summary.best_command)[3:]
    )  # by now Hydra's plugins stand in the store that is copied below
    shipped_folder = store.shipped_folder
    for path in shipped_folder("experiments").glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "found.yaml").write_text(make_recipe(summary), encoding="utf-8")
    monkeypatch.setattr(
        store, "shipped_folder", lambda name: tmp_path if name == "experiments" else shipped_folder(name)
    )
    monkeypatch.setattr(store, "_recipes", store._recipes.__wrapped__)  # read anew
    monkeypatch.setattr(ConfigStore.instance(), "repo", copy.deepcopy(ConfigStore.instance().repo))
    composed, _ = compose_config(["experiment=found", *summary.local])
    assert composed == best
    elsewhere, _ = compose_config(["experiment=found"])
    assert elsewhere.run.outputs_dir != composed.run.outputs_dir  # a recipe does not say where this worker wrote


def test_few_or_equal_trials_give_a_report_without_a_map(sweep, tmp_path):
    paths = write_report(summarize([make_row(n, 0.8 + n / 50) for n in range(3)], [2]), tmp_path)
    names = {path.name for path in paths}
    assert {"history.png", "curves.png", "slices.png", "report.html", "best.yaml"} <= names
    assert not {"contour.png", "importances.png"} & names
    assert draw_contour(summarize([make_row(n, 0.9) for n in range(9)], [0])) is None  # all are equal


def test_trials_on_a_line_have_a_report_without_a_map(tmp_path):
    rows = [make_row(n, 0.8 + n / 50, point={RATE: RATES[n], WARMUP: 0.1}) for n in range(6)]
    names = {path.name for path in write_report(summarize(rows, [5]), tmp_path)}
    assert "slices.png" in names
    assert "contour.png" not in names


@pytest.mark.parametrize(
    ("name", "axes", "marks"),
    [
        (
            "history",
            ("trial", "val/accuracy (higher is better)"),
            {"completed", "best so far", "pruned", "failed", "running"},
        ),
        ("slices", (RATE, "val/accuracy (higher is better)"), {"pruned", "running"}),
        ("contour", (RATE, WARMUP), {"pruned"}),
        ("curves", ("validation", "val/accuracy (higher is better)"), {"completed", "pruned", "failed", "running"}),
    ],
)
def test_a_picture_names_its_axes_and_marks_every_state_and_the_best_trial(sweep, name, axes, marks):
    figure = FIGURES[name][0](sweep)
    add_legend(figure)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == axes
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {*marks, "best, trial 4"}
    assert figure.axes[0].get_title() == ""
    assert name not in ("slices", "contour") or figure.axes[0].get_xscale() == "log"


def test_a_diverged_trial_does_not_press_the_others_flat(sweep):
    rows = [*sweep.trials, make_row(10, 0.1)]
    for name in ("history", "slices"):
        low, _ = FIGURES[name][0](summarize(rows, [4])).axes[0].get_ylim()
        assert low > 0.5


def test_a_front_is_drawn_for_two_objectives_only(sweep, tmp_path):
    spec = make_spec(objectives=("val/accuracy", "predict/latency_ms"), directions=("maximize", "minimize"))
    rows = [make_row(0, (0.9, 12.0)), make_row(1, (0.8, 5.0)), make_row(2, (0.7, 9.0)), make_row(3, state="failed")]
    summary = summarize(rows, [0, 1], spec)
    assert (tmp_path / "figures" / "pareto.png") in write_report(summary, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (
        "2 of 3 completed trials are on the Pareto front, from trial 1 (val/accuracy 0.8000, predict/latency_ms 5.00 ms)"
        in text
    )
    assert FIGURES["pareto"][0](sweep) is None


def test_time_saved_by_pruning():
    # two pruned trials stopped after 300 of 900 steps and 100 s: each would have taken 200 s more
    rows = [make_row(0, 0.9), make_row(1, state="pruned"), make_row(2, state="pruned"), make_row(3, state="failed")]
    page = Page(make_html(summarize(rows, [0]), {}, ""))
    saved = next(text for text in page.texts["dd"] if "unpruned" in text)
    assert saved.startswith("about 6.7 min; the ended trials did 56% of the optimizer steps")  # 400 s; 1500 of 2700
    assert "unpruned" not in make_html(summarize(rows[:1], [0]), {}, "")


def test_without_a_completed_trial_there_is_a_report_and_no_recipe(tmp_path):
    rows = [
        make_row(0, state="pruned"),
        make_row(1, state="failed", reason="out of memory"),
        make_row(2, state="running"),
    ]
    names = {path.name for path in write_report(summarize(rows), tmp_path / "some")}
    assert {"history.png", "curves.png", "timeline.png", "report.html"} <= names
    assert "best.yaml" not in names
    assert "No trial of 3 has completed" in (tmp_path / "some" / "report.html").read_text(encoding="utf-8")
    assert write_report(summarize([]), tmp_path / "none") == [tmp_path / "none" / "report.html"]


def test_importances_find_the_dimension_that_matters(sweep):
    def shares() -> list[tuple[str, float]]:
        (axes,) = draw_importances(sweep).axes
        return [
            (label.get_text(), bar.get_width()) for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)
        ]

    assert [name for name, _ in shares()] == [WARMUP, RATE]  # the largest on top
    assert sum(share for _, share in shares()) == pytest.approx(1)
    assert shares() == shares()


def test_spans_of_a_worker_that_died_and_of_one_at_work():
    died = TrialSummary(0, "completed", {}, (0.9,), segments=(("a", 0.0, None), ("b", 30.0, 80.0)))
    works = TrialSummary(1, "running", {}, segments=(("c", 50.0, None),))
    summary = summarize([died, works], [0])
    assert [(s.worker, s.begin, s.end, s.open) for s in summary.spans] == [
        ("a", 0.0, 30.0, True),
        ("b", 30.0, 80.0, False),
        ("c", 50.0, 80.0, True),
    ]
    assert [(name, busy.value) for name, _, busy, _ in find_workers(summary)] == [("b", 50.0), ("a", 30.0), ("c", 30.0)]


def test_an_axis_leaves_out_what_is_far_behind_and_never_what_is_ahead(sweep):
    values = [0.5, 0.89, 0.9, 0.9, 0.91, 0.99]
    assert good_limits(sweep, values) == (0.89, 0.99)
    lower = summarize([], spec=make_spec(objectives=("val/loss",), directions=("minimize",)))
    assert good_limits(lower, [1 - value for value in values]) == pytest.approx((0.01, 0.11))
    assert [show_setting(v) for v in (3.217e-5, 1e-4, 0.0954, 0.0, 16, True, 12345.6)] == [
        "3.22e-5", "1e-4", "0.0954", "0", "16", "true", "12346",
    ]  # fmt: skip


def test_a_test_split_that_chose_the_trial_is_not_recommended():
    rows = [make_row(0, 0.9), make_row(1, 0.8)]
    shipped = {"test/accuracy": 0.9, "intervals": {"test/accuracy": [0.88, 0.92]}, "tests_on_validation": True}
    sentences = " ".join(Page(make_html(summarize(rows, [0]), {}, "", shipped)).texts["p"])
    assert "So is the test figure" in sentences
    assert "tests_on_validation" not in sentences
