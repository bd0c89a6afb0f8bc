"""The pictures of a run: curves, learning rate, confusion matrix, model.

Drawn with matplotlib's objects alone (no pyplot, no global state), in colours of Okabe and Ito that colour-blind readers
tell apart. Every function writes one picture and returns its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from bertexp.reports.confusions import Confusions
from bertexp.system.files import atomic_file

Points = Sequence[tuple[int, float]]  # (optimizer step, value), steps ascending
History = Sequence[tuple[int, Mapping[str, float]]]  # (optimizer step, values by metric name `split/name`)

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"
SPLITS = {"train": ("training", BLUE), "val": ("validation", ORANGE), "test": ("test", GREEN)}
DOTS_PER_INCH = 150
MATRIX_CLASSES = 200  # of a confusion matrix
TRAINED = {"facecolor": "#9CCBEA", "edgecolor": BLUE}
FROZEN = {"facecolor": "#DDDDDD", "edgecolor": "#777777"}
WEIGHTLESS = {"facecolor": "#FFFFFF", "edgecolor": "#777777"}
BOX_WIDTH, BOX_HEIGHT, GAP, STACK = 5.6, 0.62, 0.34, 0.05  # inches
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class LayerBox:
    """One box of the picture, from the input down."""

    name: str
    detail: str = ""  # small print beside the name
    shape: str = ""  # of its output
    parameters: int = 0  # weights of all `repeat` layers together
    trained: bool = False
    repeat: int = 1  # so many equal layers in a row


def draw_curves(
    history: History, path: Path, metrics: Sequence[str] = ("loss", "accuracy"), best_step: int | None = None
) -> Path:
    """Draws ``train/<metric>``, ``val/<metric>`` and ``test/<metric>`` over steps, one panel per metric that occurs.

    Args:
        best_step: the step of the checkpoint that was kept, marked by a dashed line.
    """
    occurring = {name for _, values in history for name in values}
    shown = [name for name in metrics if not occurring.isdisjoint(f"{split}/{name}" for split in SPLITS)]
    panels = max(len(shown), 1)
    figure = new_figure(4.8 * panels, 3.6)
    for axes, name in zip(figure.subplots(1, panels, squeeze=False)[0], shown, strict=False):
        for split in SPLITS:
            metric = f"{split}/{name}"
            _draw_split(axes, [(step, values[metric]) for step, values in history if metric in values], split)
        if best_step is not None:
            axes.axvline(best_step, color=GREY, linewidth=1, linestyle=(0, (4, 3)), label="best checkpoint", zorder=0)
        _finish_axes(axes, name.replace("_", " "))
        axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def draw_learning_rate(points: Points, path: Path) -> Path:
    """Draws the learning rate over steps."""
    figure = new_figure(4.8, 3.2)
    axes = figure.subplots()
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=BLUE, linewidth=1.8)
    _finish_axes(axes, "learning rate")
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    return save_figure(figure, path)


def draw_confusion_matrix(confusions: Confusions, label_names: Sequence[str], path: Path) -> Path:
    """Draws how often each true class (row) got each prediction (column); colours are shares of the row.

    Of more than ``MATRIX_CLASSES`` classes those are shown that are mistaken most often.
    """
    marginals = confusions.marginals()
    shown = np.arange(confusions.classes)
    if confusions.classes > MATRIX_CLASSES:
        mistaken = marginals.true + marginals.predicted - 2 * marginals.hits
        shown = np.sort(np.argsort(-mistaken, kind="stable")[:MATRIX_CLASSES])
    counts, classes = confusions.matrix(shown), len(shown)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [_shorten(label_names[index], 28) for index in shown]
    font = float(np.clip(150 / classes, 5.0, 10.0))  # points
    length = max(map(len, names), default=1) * font * 0.6 / 72  # inches of the longest name
    side = max(classes * (0.62 if classes <= 12 else font * 1.35 / 72), 2.2)
    figure = new_figure(side + length + 1.7, side + length + 1.1)
    axes = figure.subplots()
    # many classes: small shares, the confusions, would drown in white on a linear scale
    scale = Normalize(0, 1) if classes <= 12 else PowerNorm(0.5, 0, 1)
    image = axes.imshow(shares, cmap="Blues", norm=scale, interpolation="nearest")
    axes.set_xticks(range(classes), names, fontsize=font, rotation=90 if length > side / classes * 0.9 else 0)
    axes.set_yticks(range(classes), names, fontsize=font)
    axes.set_xticks(np.arange(-0.5, classes), minor=True)
    axes.set_yticks(np.arange(-0.5, classes), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5 if classes <= 12 else 0.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    if classes <= 12:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.55 else INK
            text = f"{counts[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", fontsize=font, color=colour)
    total = int(marginals.true.sum())
    title = f"{marginals.hits.sum() / max(total, 1):.1%} of {total:,} correct"
    if confusions.classes > classes:
        title += f"; the {classes} of {confusions.classes:,} classes that are mistaken most often"
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    height = min(1.0, 3.0 / side)
    bar = figure.colorbar(image, cax=axes.inset_axes((1 + 0.12 / side, 1 - height, 0.14 / side, height)))
    bar.set_label("share of the true class", fontsize=9, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    return save_figure(figure, path)


def draw_model(layers: Sequence[LayerBox], path: Path) -> Path:
    """Draws the boxes from top to bottom; blue ones learn, grey ones are frozen, white ones have no weights."""
    height = len(layers) * BOX_HEIGHT + (len(layers) - 1) * GAP
    figure = new_figure(BOX_WIDTH + 0.3, height + 0.75)
    axes = figure.subplots()
    axes.set_xlim(-0.1, BOX_WIDTH + 0.1)
    axes.set_ylim(height + 0.05, -0.05)
    axes.set_axis_off()
    middle = BOX_WIDTH / 2
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1, "shrinkA": 1, "shrinkB": 1}
    for index, box in enumerate(layers):
        top = index * (BOX_HEIGHT + GAP)
        _draw_box(axes, box, top)
        if index:
            axes.annotate("", (middle, top - _stacked(box) * STACK), (middle, top - GAP), arrowprops=arrow)
    trained = sum(box.parameters for box in layers if box.trained)
    frozen = sum(box.parameters for box in layers if box.parameters and not box.trained)
    keys = [Patch(**TRAINED, label=f"trained: {_count(trained)} weights")]
    if frozen:
        keys.append(Patch(**FROZEN, label=f"frozen: {_count(frozen)} weights"))
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return save_figure(figure, path)


def draw_bars(labels: Sequence[str], values: Sequence[float] | np.ndarray, title: str, path: Path) -> Path:
    """Draws shares between 0 and 1 as bars, one a line, the largest on top; at most 40 of them."""
    order = np.argsort(-np.asarray(values), kind="stable")[:40]
    figure = new_figure(6.4, 0.9 + 0.26 * len(order))
    axes = figure.subplots()
    bars = axes.barh(range(len(order)), [values[i] for i in order], color=BLUE, height=0.7)
    axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8, color=INK)
    axes.set_yticks(range(len(order)), [_shorten(labels[i], 28) for i in order], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.09)
    axes.set_xlabel(title, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    return save_figure(figure, path)


def draw_scatter(wanted: np.ndarray, predicted: np.ndarray, path: Path) -> Path:
    """Draws predicted over true numbers, both <float>[n], with the line where they are equal."""
    figure = new_figure(4.6, 4.4)
    axes = figure.subplots()
    low, high = float(min(wanted.min(), predicted.min())), float(max(wanted.max(), predicted.max()))
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    size = float(np.clip(4000 / max(len(wanted), 1), 2, 16))
    axes.scatter(wanted, predicted, s=size, color=BLUE, alpha=0.35, linewidths=0)
    axes.set_xlabel("true", color=INK)
    axes.set_ylabel("predicted", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    return save_figure(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of so many inches that lays out its parts without overlap."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes) -> None:
    """Gives axes the look of all reports: pale lines across, no frame, small ticks."""
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=9, colors=INK)


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes the figure in the format that the file's suffix names (.png, .svg, .pdf)."""
    with atomic_file(path, "wb") as file:
        figure.savefig(file, format=path.suffix[1:], facecolor="white")
    return path


def _draw_split(axes: Axes, points: Points, split: str) -> None:
    """Draws few points with markers; many (the training steps) faintly, with their running mean on top."""
    if not points:
        return
    steps, values = zip(*points, strict=True)
    word, colour = SPLITS[split]
    if len(steps) <= 30:
        line = {"linewidth": 1.8, "marker": "o", "markersize": 4.5}
        if len(steps) == 1:  # the one test result: no line in the legend either
            line = {"linestyle": "none", "marker": "D", "markersize": 5.5}
        axes.plot(steps, values, color=colour, label=word, **line)
        return
    width = max(len(values) // 20, 3)
    axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.3)
    means = pd.Series(values).rolling(width, center=True, min_periods=1).mean()
    axes.plot(steps, means, color=colour, linewidth=1.8, label=f"{word} (mean of {width})")


def _finish_axes(axes: Axes, name: str) -> None:
    axes.set_title(name, fontsize=11, color=INK, loc="left")
    axes.set_xlabel("step", color=INK)
    axes.set_xlim(0, max(1.03 * axes.dataLim.x1, 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    style_axes(axes)


def _shorten(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _draw_box(axes: Axes, box: LayerBox, top: float) -> None:
    colours = WEIGHTLESS if not box.parameters else TRAINED if box.trained else FROZEN
    for behind in reversed(range(_stacked(box) + 1)):
        corner, form = (behind * STACK, top - behind * STACK), "round,pad=0,rounding_size=0.07"
        axes.add_patch(FancyBboxPatch(corner, BOX_WIDTH - 0.1, BOX_HEIGHT, boxstyle=form, linewidth=1, **colours))
    upper, lower = top + BOX_HEIGHT * (0.34 if box.detail else 0.5), top + BOX_HEIGHT * 0.72
    left, right = 0.16, BOX_WIDTH - 0.26
    style = {"color": INK, "va": "center"}
    name = f"{box.repeat} {TIMES} {box.name}" if box.repeat > 1 else box.name
    axes.text(left, upper, name, fontsize=10.5, weight="bold", **style)
    axes.text(left, lower, box.detail, fontsize=8.5, **style)
    axes.text(right, upper, box.shape, fontsize=9, ha="right", family="monospace", **style)
    if box.parameters:
        axes.text(right, lower, f"{_count(box.parameters)} weights", fontsize=8.5, ha="right", **style)


def _stacked(box: LayerBox) -> int:
    """Equal layers look like a stack, of at most three."""
    return min(box.repeat, 3) - 1


def _count(number: int) -> str:
    """Writes 28,763,649 as 28.8 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)
