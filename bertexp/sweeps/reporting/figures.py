"""The pictures of a sweep's trials: history, learning curves, timeline, Pareto front, seeds.

Each function draws one PNG and returns its path, or ``None`` where the trials do not suffice for it. Those of the space
are in ``space_figures.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from bertexp.interfaces import RunState
from bertexp.reports.pictures.figures import BLUE, GREEN, GREY, INK, new_figure, save_figure
from bertexp.sweeps.reporting.drawing import (
    COLOURS,
    MARKS,
    add_legend,
    draw_trials,
    good_limits,
    is_maximized,
    limit_values,
    mark_best,
    objective_label,
    shorten,
    style_axes,
)
from bertexp.sweeps.reporting.facts import find_spans, found_value
from bertexp.sweeps.work.summary import SweepSummary, TrialRow

SEEDED_UP_TO = 30  # trials; more columns of dots could not be told apart


def draw_history(summary: SweepSummary, path: Path) -> Path | None:
    """Draws the first objective of each trial by number, and the best so far; ``None`` where no trial has a value.

    Pruned and running trials stand at their last report. Values far behind the others are drawn as arrows on the
    axis's edge, trials without a value as marks on the lower one.
    """
    rows = [row for row in summary.trials if found_value(row) is not None]
    if not rows:
        return None
    figure = new_figure(7.4, 3.9)
    axes = figure.subplots()
    done = [row for row in rows if row.state == RunState.COMPLETED]
    last = summary.trials[-1].number
    if done:
        better = np.maximum if is_maximized(summary) else np.minimum
        best = better.accumulate([row.values[0] for row in done])
        axes.step(
            [*(row.number for row in done), last + 0.4],
            [*best, best[-1]],
            where="post",
            color=GREEN,
            linewidth=1.6,
            label="best so far",
            zorder=1,
        )
    draw_trials(axes, summary, [row.number for row in rows], rows)
    for row in summary.trials:
        if found_value(row) is None:
            axes.plot(
                row.number,
                0.0,
                MARKS[row.state],
                color=COLOURS[row.state],
                markersize=7,
                clip_on=False,
                zorder=4,
                transform=axes.get_xaxis_transform(),
                label=row.state,
            )
    if done and len(summary.best) == 1:
        mark_best(axes, summary, summary.best[0])
    style_axes(axes, "trial", objective_label(summary, 0))
    axes.set_xlim(-0.6, last + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    add_legend(figure, axes)
    return save_figure(figure, path)


def draw_curves(summary: SweepSummary, path: Path) -> Path | None:
    """Draws each trial's reports over the validation's index; ``None`` where no trial has two."""
    rows = [row for row in summary.trials if len(_curve(row)[0])]
    if max((len(_curve(row)[0]) for row in rows), default=0) < 2:
        return None
    figure = new_figure(7.4, 3.9)
    axes = figure.subplots()
    best = summary.best[0] if len(summary.best) == 1 else None
    order = (RunState.PRUNED, RunState.FAILED, RunState.RUNNING, RunState.COMPLETED)
    for row in sorted(rows, key=lambda row: (row.number == best, order.index(row.state))):
        indices, values = _curve(row)
        chosen = row.number == best
        axes.plot(
            indices,
            values,
            color=GREEN if chosen else COLOURS[row.state],
            linewidth=2.2 if chosen else 1.1,
            alpha=1.0 if chosen else 0.65,
            marker="o" if chosen or (len(values) == 1 and row.state != RunState.PRUNED) else None,
            markersize=4,
            label=f"best, trial {best}" if chosen else row.state,
        )
        if row.state == RunState.PRUNED:
            axes.plot(indices[-1], values[-1], MARKS[RunState.PRUNED], color=GREY, markersize=5)
    limit_values(axes, summary, [value for row in rows for value in _curve(row)[1]])
    style_axes(axes, "validation", objective_label(summary, 0))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    add_legend(figure, axes)
    return save_figure(figure, path)


def draw_timeline(summary: SweepSummary, path: Path) -> Path | None:
    """Draws a bar for each time that a worker took a trial up; ``None`` where none was.

    A trial that was interrupted has several. An open bar's end is not known (see ``find_spans``): it is drawn pale.
    """
    spans = find_spans(summary)
    if not spans:
        return None
    workers = list(dict.fromkeys(span.worker for span in sorted(spans, key=lambda span: span.begin)))
    start, end = min(span.begin for span in spans), max(span.end for span in spans)
    unit, word = next((u, w) for u, w in ((3600, "h"), (60, "min"), (1, "s")) if end - start >= 3 * u or u == 1)
    figure = new_figure(8.2, 0.34 * len(workers) + 1.25)
    axes = figure.subplots()
    whole = max(end - start, 1e-3)
    for span in spans:
        length, row = (span.end - span.begin) / unit, workers.index(span.worker)
        left = (span.begin - start) / unit
        axes.barh(
            row,
            length,
            left=left,
            height=0.72,
            color=COLOURS[span.state],
            alpha=0.45 if span.open else 1.0,
            edgecolor="white",
            linewidth=1,
        )
        if (span.end - span.begin) / whole > 0.013 * len(str(span.number)):  # else the number is wider than its bar
            colour = INK if span.open or span.state == RunState.RUNNING else "white"
            axes.text(left + length / 2, row, str(span.number), ha="center", va="center", fontsize=8, color=colour)
    style_axes(axes, f"{word} since the first start", "")
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.8)
    axes.grid(visible=False, axis="y")
    axes.set_yticks(range(len(workers)), [shorten(name, 24) for name in workers])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(workers) - 0.5, -0.5)
    axes.set_xlim(0, whole / unit)
    keys = [Patch(color=COLOURS[state], label=state) for state in COLOURS if any(span.state == state for span in spans)]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False, fontsize=9)
    return save_figure(figure, path)


def draw_pareto(summary: SweepSummary, path: Path) -> Path | None:
    """Draws the completed trials of two objectives, the second to the right, and their Pareto front.

    ``None`` where there are not two objectives, or no completed trial.
    """
    rows = [row for row in summary.trials if row.state == RunState.COMPLETED]
    if len(summary.spec.objectives) != 2 or not rows:
        return None
    figure = new_figure(6.4, 4.4)
    axes = figure.subplots()
    front = sorted((row for row in rows if row.number in summary.best), key=lambda row: row.values[1])
    others = [row for row in rows if row.number not in summary.best]
    # what a front's trial dominates lies to its left where more is better on the horizontal axis, else to its right
    where = "pre" if summary.spec.directions[1] == "maximize" else "post"
    heights, widths = [row.values[0] for row in front], [row.values[1] for row in front]
    axes.step(widths, heights, where=where, color=GREEN, linewidth=1.5, zorder=1)
    axes.plot([row.values[1] for row in others], [row.values[0] for row in others], "o", color=BLUE, label="completed")
    axes.plot(widths, heights, "o", color=GREEN, markersize=8, markeredgecolor="white", label="Pareto front")
    style_axes(axes, objective_label(summary, 1), objective_label(summary, 0))
    axes.margins(0.08)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.8)
    add_legend(figure, axes)
    _label_points(
        figure, axes, [(row.values[1], row.values[0], str(row.number)) for row in [*front, *others]], len(front)
    )
    return save_figure(figure, path)


def draw_seeds(summary: SweepSummary, path: Path) -> Path | None:
    """Draws the first objective of every seed and their mean, best trial first; ``None`` where there is one seed.

    Left out are trials far behind (``good_limits``) and those after the best ``SEEDED_UP_TO``.
    """
    rows = [row for row in summary.trials if row.state == RunState.COMPLETED and row.seed_values]
    if summary.spec.seeds < 2 or not rows:
        return None
    low, high = good_limits(summary, [row.values[0] for row in rows])
    rows = sorted(rows, key=lambda row: row.values[0], reverse=is_maximized(summary))[:SEEDED_UP_TO]
    rows = [row for row in rows if low <= row.values[0] <= high]  # a diverged one would press the others flat
    figure = new_figure(max(0.27 * len(rows) + 1.6, 4.0), 3.6)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        values = [found[0] for found in row.seed_values]
        colour = GREEN if row.number in summary.best and len(summary.best) == 1 else BLUE
        axes.plot([place, place], [min(values), max(values)], color=colour, linewidth=1, alpha=0.4)
        axes.plot([place] * len(values), values, "o", color=colour, markersize=5, alpha=0.65, markeredgewidth=0)
        axes.plot([place - 0.32, place + 0.32], [row.values[0]] * 2, color=INK, linewidth=1.6)
    style_axes(axes, "trial, best mean first (bar: the mean)", objective_label(summary, 0))
    axes.set_xticks(range(len(rows)), [str(row.number) for row in rows])
    axes.set_xlim(-0.7, len(rows) - 0.3)
    return save_figure(figure, path)


def _curve(row: TrialRow) -> tuple[list[int], list[float]]:
    known = sorted((index, value) for index, value in row.reports.items() if math.isfinite(value))
    return [index for index, _ in known], [value for _, value in known]


def _label_points(figure: Figure, axes: Axes, points: Sequence[tuple[float, float, str]], needed: int) -> None:
    """Writes texts beside points where there is room; the first ``needed`` ones anyway."""
    figure.draw_without_rendering()  # the layout is not known before
    spots = axes.transData.transform([(x, y) for x, y, _ in points])
    em = figure.dpi / 72 * 8  # pixels of a line of text of 8 points
    taken = [(x - em / 2, y - em / 2, x + em / 2, y + em / 2) for x, y in spots]
    for index, ((x, y), (*place, text)) in enumerate(zip(spots, points, strict=True)):
        width = 0.62 * em * len(text)
        for dx, dy in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1.4), (0, -1.4), (1.6, 0), (-1.6, 0)):
            middle = (x + dx * (0.4 * em + width / 2), y + dy * 0.9 * em)
            box = (middle[0] - width / 2, middle[1] - em / 2, middle[0] + width / 2, middle[1] + em / 2)
            free = not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken)
            if free or (index < needed and (dx, dy) == (-1.6, 0)):
                taken.append(box)
                offset = ((middle[0] - x) * 72 / figure.dpi, (middle[1] - y) * 72 / figure.dpi)
                axes.annotate(
                    text,
                    tuple(place),
                    xytext=offset,
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=GREEN if index < needed else INK,
                    weight="bold" if index < needed else "normal",
                    path_effects=[withStroke(linewidth=2.5, foreground="white")],  # over the front's line
                )
                break
