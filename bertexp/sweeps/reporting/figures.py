"""The pictures of a sweep: each function makes one, or returns ``None`` if the trials do not suffice for it.

Optuna draws history, front, importances, slices and contour; we add the trials that did not complete and a ring around
the best one. What Optuna has not is drawn here: curves by state, the spread of seeds, the workers' time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import optuna
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from optuna.trial import TrialState
from optuna.visualization import matplotlib as plots

from bertexp.interfaces import RunState
from bertexp.reports.pictures.figures import BLUE, DOTS_PER_INCH, GREEN, GREY, INK, ORANGE, new_figure, style_axes
from bertexp.sweeps.progress import show_setting
from bertexp.sweeps.work.summary import SweepSummary, TrialSummary

SKY = "#56B4E9"  # the light blue of Okabe and Ito
COLOURS = {RunState.PRUNED: GREY, RunState.FAILED: ORANGE, RunState.RUNNING: SKY, RunState.COMPLETED: BLUE}
LEAST_FOR_IMPORTANCES = 4  # completed trials
LEAST_FOR_CONTOUR = 5  # values
SEEDED_UP_TO = 30  # trials; more columns of dots could not be told apart


def draw_history(summary: SweepSummary) -> Figure | None:
    """The first objective of each trial by number, and the best so far; ``None`` if no trial has a value.

    Pruned and running trials stand at their last report, failed ones on the lower edge.
    """
    trials = summary.valued(*COLOURS)
    if not trials:
        return None
    study = _as_study(summary, summary.valued(RunState.COMPLETED))
    (axes,) = _ask_optuna(plots.plot_optimization_history, study, (7.4, 3.9), target_name="completed")
    for line in axes.lines:
        line.set(drawstyle="steps-post", color=GREEN, alpha=1.0, label="best so far")
    _mark_trials(axes, summary, trials, [trial.number for trial in trials], [trial.value for trial in trials])
    failed = [trial.number for trial in summary.trials if trial.state == RunState.FAILED]
    if failed:
        edge = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.plot(failed, [0] * len(failed), "X", color=ORANGE, label=RunState.FAILED, **edge)
    _limit(axes, summary, [trial.value for trial in trials])
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    return _style(axes, "trial", summary.objective_label(0))


def draw_pareto(summary: SweepSummary) -> Figure | None:
    """The completed trials of two objectives, and the numbers of those on the front; ``None`` without any."""
    trials = summary.valued(RunState.COMPLETED)
    if len(summary.spec.objectives) != 2 or not trials:
        return None
    study = _as_study(summary, trials, objectives=2)
    (axes,) = _ask_optuna(plots.plot_pareto_front, study, (6.4, 4.4))
    for trial in summary.front:
        axes.annotate(str(trial.number), trial.values, xytext=(5, 5), textcoords="offset points", fontsize=8, color=INK)
    return _style(axes, summary.objective_label(0), summary.objective_label(1))


def draw_importances(summary: SweepSummary) -> Figure | None:
    """How much of the first objective's variance each dimension explains; ``None`` for too few trials or dimensions.

    By functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown 2014, ICML). With 8 to 24 synthetic trials it
    ranked dimensions right where Optuna's default, PED-ANOVA, which looks at the best tenth alone, did not.
    """
    trials = summary.valued(RunState.COMPLETED)
    varied = [dimension for dimension in summary.spec.space.dimensions if len(dimension.ends()) > 1]
    if len(trials) < LEAST_FOR_IMPORTANCES or len(varied) < 2 or len({trial.value for trial in trials}) < 2:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)  # the same picture for the same trials
    size = (6.4, 0.42 * len(varied) + 1.1)
    name = f"share of the variance of {summary.spec.objectives[0]}"
    study = _as_study(summary, trials)
    (axes,) = _ask_optuna(plots.plot_param_importances, study, size, evaluator=evaluator, target_name=name)
    return _style(axes, "", "")


def draw_slices(summary: SweepSummary) -> Figure | None:
    """The first objective over the values of each dimension, a panel each; ``None`` if no trial has completed.

    Pruned and running trials stand at their last report.
    """
    trials, completed = summary.valued(*COLOURS), summary.valued(RunState.COMPLETED)
    if not completed:
        return None
    values = [trial.value for trial in trials]
    panels = _ask_optuna(plots.plot_slice, _as_study(summary, completed), (6.4, 3.6))
    for axes in panels:
        name = axes.get_xlabel()
        settings = [trial.point[name] for trial in trials]
        if axes.xaxis.have_units():  # categories, of which Optuna makes texts
            settings = list(map(repr, settings))
            axes.tick_params(axis="x", labelrotation=30)
        _mark_trials(axes, summary, trials, settings, values)
        axes.autoscale(axis="x")
        _limit(axes, summary, values)
        _style(axes, name, summary.objective_label(0) if axes is panels[0] else "")
    return axes.figure


def draw_contour(summary: SweepSummary) -> Figure | None:
    """The first objective as a map of the first two numeric dimensions, interpolated between the trials.

    Pruned trials count with their last report; those far behind are left out, for they would take all colours.

    Returns:
        ``None`` for fewer than two numeric dimensions that vary, or five different values.
    """
    dimensions = summary.spec.space.dimensions
    names = [d.name for d in dimensions if all(isinstance(end, (int, float)) for end in d.ends())][:2]
    trials = summary.valued(RunState.COMPLETED, RunState.PRUNED)
    spread = [len({trial.point[name] for trial in trials}) for name in names]
    if len(names) < 2 or min(spread) < 2 or len({trial.value for trial in trials}) < LEAST_FOR_CONTOUR:
        return None
    low, high = good_limits(summary, [trial.value for trial in trials])
    trials = [trial for trial in trials if low <= trial.value <= high]
    study, label = _as_study(summary, trials), summary.objective_label(0)
    (axes,) = _ask_optuna(plots.plot_contour, study, (6.6, 4.6), params=names, target_name=label)
    across, up = sorted(names)  # as Optuna orders them
    settings = ([trial.point[name] for trial in trials] for name in (across, up))
    _mark_trials(axes, summary, trials, *settings)
    return _style(axes, across, up)


def draw_curves(summary: SweepSummary) -> Figure | None:
    """Each trial's reports over the validation's index, coloured by state; ``None`` if no trial has two."""
    trials = [trial for trial in summary.trials if trial.curve]
    if max((len(trial.curve) for trial in trials), default=0) < 2:
        return None
    figure = new_figure(7.4, 3.9)
    axes = figure.subplots()
    best = summary.winner
    for trial in sorted(trials, key=lambda trial: (trial is best, list(COLOURS).index(trial.state))):
        look = {"color": COLOURS[trial.state], "linewidth": 1.1, "alpha": 0.65, "label": trial.state}
        if trial is best:
            look = {"color": GREEN, "linewidth": 2.2, "label": f"best, trial {trial.number}"}
        end = "x" if trial.state == RunState.PRUNED else "o"
        axes.plot(list(trial.curve), list(trial.curve.values()), marker=end, markevery=[-1], markersize=5, **look)
    _limit(axes, summary, [value for trial in trials for value in trial.curve.values()])
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    return _style(axes, "validation", summary.objective_label(0))


def draw_seeds(summary: SweepSummary) -> Figure | None:
    """The first objective of every seed and their mean, best trial first; ``None`` if there is one seed.

    Left out are trials far behind (``good_limits``) and those after the best ``SEEDED_UP_TO``.
    """
    trials = [trial for trial in summary.valued(RunState.COMPLETED) if trial.seed_values]
    if not trials:
        return None
    low, high = good_limits(summary, [trial.value for trial in trials])
    trials = sorted(trials, key=lambda trial: trial.value, reverse=summary.spec.maximizes)[:SEEDED_UP_TO]
    trials = [trial for trial in trials if low <= trial.value <= high]
    figure = new_figure(max(0.27 * len(trials) + 1.6, 4.0), 3.6)
    axes = figure.subplots()
    for index, trial in enumerate(trials):
        values = [of_seed[0] for of_seed in trial.seed_values]
        axes.plot([index] * len(values), values, "o-", color=BLUE, alpha=0.65, markersize=5, linewidth=1)
        axes.plot(index, trial.value, "_", color=INK, markersize=14, markeredgewidth=1.6)
    axes.set_xticks(range(len(trials)), [str(trial.number) for trial in trials])
    return _style(axes, "trial, best mean first (bar: the mean)", summary.objective_label(0))


def draw_timeline(summary: SweepSummary) -> Figure | None:
    """A bar for each time that a worker took a trial up; ``None`` if none was. One whose end is not known is pale."""
    spans = sorted(summary.spans, key=lambda span: span.begin)
    if not spans:
        return None
    workers = list(dict.fromkeys(span.worker for span in spans))
    start, end = spans[0].begin, max(span.end for span in spans)
    unit, word = next((u, w) for u, w in ((3600, "h"), (60, "min"), (1, "s")) if end - start >= 3 * u or u == 1)
    figure = new_figure(8.2, 0.34 * len(workers) + 1.25)
    axes = figure.subplots()
    for span in spans:
        look = {"facecolor": COLOURS[span.state], "alpha": 0.45 if span.open else 1.0, "edgecolor": "white"}
        length, number = (span.end - span.begin) / unit, str(span.number)
        left = (span.begin - start) / unit
        bar = axes.barh(workers.index(span.worker), length, left=left, label=span.state, **look)
        if length > 0.013 * len(number) * (end - start) / unit:  # else the number is wider than its bar
            axes.bar_label(bar, [number], label_type="center", fontsize=8, color=INK if span.open else "white")
    axes.set_yticks(range(len(workers)), workers)
    axes.invert_yaxis()
    return _style(axes, f"{word} since the first start", "")


def good_limits(summary: SweepSummary, values: Iterable[float]) -> tuple[float, float]:
    """The range of ``values`` without those far behind, so that a diverged trial does not press the others flat.

    Behind is what lies over three times the distance of the quartiles beyond them, on the bad side only (Tukey 1977,
    Exploratory Data Analysis: the outer fence).
    """
    known = np.asarray(list(values), np.float64)
    first, third = np.percentile(known, (25, 75))
    reach = 3 * (third - first)
    if summary.spec.maximizes:
        return float(known[known >= first - reach].min()), float(known.max())
    return float(known.min()), float(known[known <= third + reach].max())


def add_legend(figure: Figure) -> None:
    """Names each kind of mark once, below the picture, where it covers nothing."""
    kinds = {}
    for axes in figure.axes:
        kinds |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    kinds.pop("Infeasible Trial", None)  # Optuna's word, of which there are none
    look = {"ncols": max(len(kinds), 1), "frameon": False, "fontsize": 9}
    figure.legend(kinds.values(), kinds.keys(), loc="outside lower center", **look)


def _as_study(summary: SweepSummary, trials: Sequence[TrialSummary], objectives: int = 1) -> optuna.Study:
    """A study in which ``trials`` have completed with their values, and all others have failed."""
    study = optuna.create_study(directions=list(summary.spec.directions[:objectives]))
    given = {trial.number for trial in trials}
    for trial in summary.trials:
        values = list(trial.values or [trial.value])[:objectives]
        end = {"values": values} if trial.number in given else {"state": TrialState.FAIL}
        study.add_trial(optuna.create_trial(params=trial.point, distributions=dict(trial.distributions), **end))
    return study


def _ask_optuna(
    plot: Callable[..., Any], study: optuna.Study, inches: tuple[float, float], **options: Any
) -> list[Axes]:
    """The panels that one of Optuna's functions draws; it uses pyplot's state, which stays as it was."""
    look = {"figure.constrained_layout.use": True, "figure.dpi": DOTS_PER_INCH, "figure.figsize": inches}
    with pyplot.rc_context(look), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these functions are experimental, and a legend may be empty
        pyplot.switch_backend("agg")  # no window
        panels = list(np.ravel(plot(study, **options)))
    figure = panels[0].figure
    pyplot.close(figure)
    figure.set_layout_engine("constrained")
    figure.suptitle("")
    for axes in panels:
        axes.set(facecolor="white", title="")
        axes.set_title("", loc="left")
        if axes.get_legend():
            axes.get_legend().remove()
    return panels


def _mark_trials(
    axes: Axes, summary: SweepSummary, trials: Sequence[TrialSummary], x: Sequence[Any], y: Sequence[Any]
) -> None:
    """Draws pruned and running trials, which Optuna leaves out, and a ring around the best one."""
    for state, mark in ((RunState.PRUNED, "x"), (RunState.RUNNING, "D")):
        own = [index for index, trial in enumerate(trials) if trial.state == state]
        if own:
            axes.plot([x[i] for i in own], [y[i] for i in own], mark, color=COLOURS[state], markersize=7, label=state)
    if summary.winner in trials:
        index = trials.index(summary.winner)
        look = {"markersize": 12, "markerfacecolor": "none", "markeredgecolor": GREEN, "markeredgewidth": 1.8}
        axes.plot(x[index], y[index], "o", label=f"best, trial {trials[index].number}", **look)


def _limit(axes: Axes, summary: SweepSummary, values: Sequence[float]) -> None:
    """Sets the vertical axis to ``good_limits`` with a margin."""
    low, high = good_limits(summary, values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _style(axes: Axes, across: str, up: str) -> Figure:
    """Gives the axes the look of the other reports, and their words; returns the figure."""
    axes.set_xlabel(across, color=INK, fontsize=10)
    axes.set_ylabel(up, color=INK, fontsize=10)
    style_axes(axes)
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: show_setting(value))
        axes.xaxis.set_minor_locator(NullLocator())
    return axes.figure
