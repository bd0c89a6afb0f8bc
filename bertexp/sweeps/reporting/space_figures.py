"""The pictures of a sweep's space: importance of its dimensions, slices along each, a map of two.

Each function draws one PNG and returns its path, or ``None`` where the trials do not suffice for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import TriAnalyzer, Triangulation

from bertexp.interfaces import RunState
from bertexp.reports.pictures.figures import BLUE, GREY, INK, ORANGE, new_figure, save_figure
from bertexp.sweeps.reporting.drawing import (
    add_legend,
    draw_trials,
    good_limits,
    is_maximized,
    objective_label,
    ring_best,
    shorten,
    style_axes,
)
from bertexp.sweeps.reporting.facts import found_value, show_setting
from bertexp.sweeps.space import Dimension, Value
from bertexp.sweeps.work.summary import SweepSummary

LEAST_FOR_IMPORTANCES = 4  # completed trials
LEAST_FOR_CONTOUR = 5  # points
COLUMNS = 3  # of panels
SHADES = {True: (0.12, 1.0), False: (0.0, 0.88)}  # of the colour map; without its white, which is the paper
GAP = 0.12  # between the ends of an axis and its outermost values, as a share of the axis or of a category


def draw_importances(summary: SweepSummary, path: Path) -> Path | None:
    """Draws how much of the first objective's variance each dimension explains; ``None`` where ``importances`` is empty."""
    shares = importances(summary)
    if not shares:
        return None
    figure = new_figure(6.4, 0.42 * len(shares) + 1.1)
    axes = figure.subplots()
    names, widths = list(shares), list(shares.values())
    axes.barh(range(len(names)), widths, height=0.62, color=BLUE)
    for place, width in enumerate(widths):
        axes.text(width + 0.012, place, f"{width:.0%}", va="center", fontsize=9, color=INK)
    style_axes(axes, "", f"share of the variance of {summary.spec.objectives[0]}")
    axes.set_yticks(range(len(names)), [shorten(name, 36) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, max(widths) + 0.1)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    return save_figure(figure, path)


def importances(summary: SweepSummary) -> dict[str, float]:
    """Shares of the completed trials' variance by dimension, the largest first, 1 in all; empty for too few trials.

    By functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown 2014, ICML), as optuna computes it. With
    8 to 24 synthetic trials it ranked dimensions right where PED-ANOVA, which looks at the best tenth alone, did not.
    """
    import optuna

    dimensions = [d for d in summary.spec.space.dimensions if len(d.ends()) > 1]
    rows = [row for row in summary.trials if row.state == RunState.COMPLETED and found_value(row) is not None]
    rows = [row for row in rows if all(dimension.name in row.point for dimension in dimensions)]
    if len(rows) < LEAST_FOR_IMPORTANCES or len(dimensions) < 2 or len({row.values[0] for row in rows}) < 2:
        return {}
    former = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study that is created
    try:
        study = optuna.create_study(direction=summary.spec.directions[0])
    finally:
        optuna.logging.set_verbosity(former)
    distributions = {dimension.name: _distribution(dimension) for dimension in dimensions}
    for row in rows:
        params = {dimension.name: row.point[dimension.name] for dimension in dimensions}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=row.values[0]))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)  # the same picture for the same trials
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in sorted(found.items(), key=lambda item: -item[1])}


def draw_slices(summary: SweepSummary, path: Path) -> Path | None:
    """Draws the first objective over the values of each dimension, a panel each; ``None`` where no trial has a value.

    Pruned trials stand at their last report, values far behind the others as arrows on the edge.
    """
    dimensions = summary.spec.space.dimensions
    rows = [row for row in summary.trials if found_value(row) is not None]
    if not any(dimension.name in row.point for row in rows for dimension in dimensions):
        return None
    columns = 2 if len(dimensions) == 4 else min(len(dimensions), COLUMNS)
    lines = math.ceil(len(dimensions) / columns)
    figure = new_figure(max(2.9 * columns, 4.6) + 0.5, 2.7 * lines + 0.6)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, dimension in zip(panels, dimensions, strict=False):
        own = [row for row in rows if dimension.name in row.point]
        places = _places(dimension, [row.point[dimension.name] for row in own])
        if dimension.choices:  # equal values side by side in the order of their trials, not one on the other
            places = places + np.asarray([(row.number * 0.618) % 1 * 0.3 - 0.15 for row in own])
        draw_trials(axes, summary, places.tolist(), own)
        style_axes(axes, shorten(dimension.name, 36), "")
        _set_scale(axes.xaxis, dimension)
        best = summary.best_row if len(summary.best) == 1 else None
        if best in own:
            ring_best(axes, summary, places[own.index(best)])
    for axes in panels[len(dimensions) :]:
        axes.set_axis_off()
    panels[0].set_title(objective_label(summary, 0), fontsize=10, color=INK, loc="left")
    add_legend(figure, *panels)
    return save_figure(figure, path)


def draw_contour(summary: SweepSummary, path: Path) -> Path | None:
    """Draws the first objective as a map of the first two numeric dimensions, interpolated between the trials.

    Linear in triangles (Delaunay) of the axes' own scales, so in the logarithm of a logarithmic dimension. Pruned
    trials count with their last report; trials at the same place with their mean.

    Returns:
        The path, or ``None`` for fewer than two numeric dimensions or five different points, or points on one line.
    """
    numeric = [dimension for dimension in summary.spec.space.dimensions if _is_numeric(dimension)][:2]
    rows = [
        row
        for row in summary.trials
        if row.state in (RunState.COMPLETED, RunState.PRUNED) and found_value(row) is not None
    ]
    rows = [row for row in rows if all(dimension.name in row.point for dimension in numeric)]
    if len(numeric) < 2 or not rows:
        return None
    spots = np.stack([_places(dimension, [row.point[dimension.name] for row in rows]) for dimension in numeric], 1)
    points, group = np.unique(spots.round(12), axis=0, return_inverse=True)
    if len(points) < LEAST_FOR_CONTOUR:
        return None
    ends = np.stack([_ends(dimension) for dimension in numeric], 1)
    units = (points - ends[0]) / (ends[1] - ends[0])
    if np.linalg.svd(units - units.mean(0), compute_uv=False)[1] < 1e-3:
        return None
    values = np.asarray([found_value(row) for row in rows], np.float64)
    means = np.bincount(group.ravel(), values) / np.bincount(group.ravel())
    triangles = Triangulation(*units.T)  # of equal scales, for triangles that are not needles
    triangles.set_mask(TriAnalyzer(triangles).get_flat_tri_mask(0.01))
    if triangles.get_masked_triangles().size == 0:
        return None

    figure = new_figure(6.6, 4.6)
    axes = figure.subplots()
    # early reports of pruned trials lie low: they may be the palest, but not take the colours from the others
    whole = [value for row, value in zip(rows, values, strict=True) if row.state == RunState.COMPLETED]
    levels = MaxNLocator(12).tick_values(*good_limits(summary, whole if len(set(whole)) > 2 else values))
    ends_open = (bool(means.min() < levels[0]), bool(means.max() > levels[-1]))
    shades = colormaps["Blues" if is_maximized(summary) else "Blues_r"](
        np.linspace(*SHADES[is_maximized(summary)], 256)
    )
    filled = axes.tricontourf(
        Triangulation(*points.T, triangles.get_masked_triangles()),
        means,
        levels,
        cmap=ListedColormap(shades),
        extend={(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[ends_open],
    )
    for state, mark in ((RunState.PRUNED, "x"), (RunState.COMPLETED, "o")):
        own = [place for place, row in zip(spots, rows, strict=True) if row.state == state]
        look = {"color": GREY} if state == RunState.PRUNED else {"color": INK, "markeredgecolor": "white"}
        if own:
            axes.plot(*np.asarray(own).T, mark, markersize=6, label=state, **look)
    best = summary.best_row if len(summary.best) == 1 else None
    if best in rows:
        x, y = spots[rows.index(best)]
        axes.plot(x, y, "*", color=ORANGE, markersize=17, markeredgecolor="white", label=f"best, trial {best.number}")
    style_axes(axes, numeric[0].name, "")
    axes.set_ylabel(numeric[1].name, color=INK)
    axes.grid(visible=False)
    _set_scale(axes.xaxis, numeric[0])
    _set_scale(axes.yaxis, numeric[1])
    bar = figure.colorbar(filled, ax=axes, shrink=0.8, ticks=levels[::2])
    bar.set_label(objective_label(summary, 0), fontsize=9, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    add_legend(figure, axes)
    return save_figure(figure, path)


def _distribution(dimension: Dimension) -> object:
    """What ``Dimension.suggest`` draws from, as optuna keeps it."""
    import optuna.distributions as kinds

    if dimension.choices:
        return kinds.CategoricalDistribution(dimension.choices)
    step = None if dimension.log else dimension.step
    if dimension.whole:
        return kinds.IntDistribution(int(dimension.low), int(dimension.high), dimension.log, int(step or 1))
    return kinds.FloatDistribution(dimension.low, dimension.high, dimension.log, step)


def _is_numeric(dimension: Dimension) -> bool:
    """An interval, a range, or a list of three numbers or more, as of a grid."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in dimension.choices)
    return not dimension.choices or (numbers and len(dimension.choices) > 2)


def _ordered(dimension: Dimension) -> list[Value]:
    """The choices as they stand on an axis: numbers by size, others as they were given."""
    return sorted(dimension.choices) if _is_numeric(dimension) else list(dimension.choices)


def _places(dimension: Dimension, values: Sequence[Value]) -> np.ndarray:
    """Where values stand on the axis, <float64>[n]: a choice at its index, others at their number or its log10."""
    if dimension.choices:
        order = _ordered(dimension)
        return np.asarray([order.index(value) for value in values], np.float64)
    numbers = np.asarray(values, np.float64)
    return np.log10(numbers) if dimension.log else numbers


def _ends(dimension: Dimension) -> np.ndarray:
    """The outermost places, <float64>[2]."""
    places = _places(dimension, dimension.ends())
    return np.asarray([places.min(), places.max()])


def _set_scale(axis: Axis, dimension: Dimension) -> None:
    """Gives the axis the dimension's whole range, and ticks that say its values."""
    low, high = _ends(dimension)
    margin = 3 * GAP if dimension.choices else GAP / 3 * (high - low)
    axis.axes.set(**{f"{axis.axis_name}lim": (low - margin, high + margin)})
    if dimension.choices:
        axis.set_ticks(range(len(dimension.choices)), [shorten(show_setting(v), 16) for v in _ordered(dimension)])
        if axis.axis_name == "x" and sum(len(show_setting(v)) for v in dimension.choices) > 30:
            axis.set_tick_params(rotation=30)
            for label in axis.get_ticklabels():
                label.set(horizontalalignment="right", rotation_mode="anchor")
    elif dimension.log:
        values = _log_ticks(10**low, 10**high)
        axis.set_ticks(np.log10(values), [show_setting(value) for value in values])


def _log_ticks(low: float, high: float) -> list[float]:
    """Round values between bounds (inclusive), about three to seven of them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        found = [float(f"{digit}e{power}") for power in decades for digit in digits]
        found = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(found) >= 3:
            break
    return found[:: math.ceil(len(found) / 7)] if found else [low, high]
