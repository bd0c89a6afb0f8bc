"""What the pictures of a sweep share: colours, marks, axes that outliers do not spoil, legends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bertexp.interfaces import RunState
from bertexp.reports.pictures.figures import BLUE, GREEN, GREY, INK, ORANGE
from bertexp.sweeps.reporting.facts import found_value, show_value
from bertexp.sweeps.work.summary import SweepSummary, TrialRow

SKY = "#56B4E9"  # the light blue of Okabe and Ito
COLOURS = {RunState.COMPLETED: BLUE, RunState.PRUNED: GREY, RunState.FAILED: ORANGE, RunState.RUNNING: SKY}
MARKS = {RunState.COMPLETED: "o", RunState.PRUNED: "x", RunState.FAILED: "X", RunState.RUNNING: "o"}


def is_maximized(summary: SweepSummary) -> bool:
    """Whether more of the first objective is better."""
    return summary.spec.directions[0] == "maximize"


def objective_label(summary: SweepSummary, index: int) -> str:
    """An axis's words."""
    word = "higher" if summary.spec.directions[index] == "maximize" else "lower"
    return f"{summary.spec.objectives[index]} ({word} is better)"


def good_limits(summary: SweepSummary, values: Iterable[float]) -> tuple[float, float]:
    """The range of ``values`` without those far behind, so that a diverged trial does not press the others flat.

    Behind is what lies over three times the distance of the quartiles beyond them, on the bad side only (Tukey 1977,
    Exploratory Data Analysis: the outer fence).
    """
    known = np.asarray(list(values), np.float64)
    first, third = np.percentile(known, (25, 75))
    reach = 3 * (third - first)
    if is_maximized(summary):
        return float(known[known >= first - reach].min()), float(known.max())
    return float(known.min()), float(known[known <= third + reach].max())


def limit_values(axes: Axes, summary: SweepSummary, values: Iterable[float]) -> tuple[float, float]:
    """Sets the vertical axis to ``good_limits`` with a margin; returns what it was set to."""
    low, high = good_limits(summary, values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    room = 0.16 * (high - low) or margin  # on the good side: for the best one's name
    low, high = (low - margin, high + room) if is_maximized(summary) else (low - room, high + margin)
    axes.set_ylim(low, high)
    return low, high


def draw_trials(axes: Axes, summary: SweepSummary, places: Sequence[float], rows: Sequence[TrialRow]) -> None:
    """Draws rows that have a value, each at its place, marked by state; those off the axis as arrows on its edge."""
    values = [value for row in rows if (value := found_value(row)) is not None]
    low, high = limit_values(axes, summary, values)
    for place, row, value in zip(places, rows, values, strict=True):
        off = not low <= value <= high
        mark = ("v" if value < low else "^") if off else MARKS[row.state]
        edge = 0.025 * (high - low)
        hollow = {"markerfacecolor": "white"} if row.state == RunState.RUNNING else {}
        axes.plot(
            place,
            np.clip(value, low + edge, high - edge) if off else value,
            mark,
            color=COLOURS[row.state],
            markersize=6,
            label=None if off else row.state,
            zorder=3,
            **hollow,
        )


def ring_best(axes: Axes, summary: SweepSummary, place: float) -> TrialRow:
    """Rings the best trial; returns it."""
    row = summary.best_row
    assert row is not None
    look = {"markersize": 12, "markerfacecolor": "none", "markeredgecolor": GREEN, "markeredgewidth": 1.8}
    axes.plot(place, row.values[0], "o", zorder=4, label=f"best, trial {row.number}", linestyle="none", **look)
    return row


def mark_best(axes: Axes, summary: SweepSummary, place: float) -> None:
    """Rings the best trial and writes its number and value beside it."""
    row = ring_best(axes, summary, place)
    text = f"trial {row.number}: {show_value(summary.spec.objectives[0], row.values[0])}"
    up = is_maximized(summary)
    axes.annotate(
        text,
        (place, row.values[0]),
        xytext=(0, 9 if up else -9),
        textcoords="offset points",
        fontsize=9,
        color=GREEN,
        ha="right" if place > np.mean(axes.get_xlim()) else "left",
        va="bottom" if up else "top",
        annotation_clip=False,
        weight="bold",
    )


def style_axes(axes: Axes, across: str, up: str) -> None:
    """Gives the axes the look of the other reports, and their words."""
    axes.set_xlabel(across, color=INK)
    axes.set_title(up, fontsize=10, color=INK, loc="left")
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=9, colors=INK)


def add_legend(figure: Figure, *panels: Axes) -> None:
    """Names each kind of mark once, below the picture, where it covers nothing."""
    kinds = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        kinds.values(), kinds.keys(), loc="outside lower center", ncols=max(len(kinds), 1), frameon=False, fontsize=9
    )


def shorten(name: str, length: int) -> str:
    """Cuts the middle out of a long name: its ends tell hosts, processes and models apart."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"
