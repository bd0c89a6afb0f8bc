"""A picture of the model: text in, probabilities out, with shapes, weights and what of it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch

from bertexp.models.architecture import BertArchitecture
from bertexp.reports.figures import INK, new_figure, save_figure

TRAINED, FROZEN, WEIGHTLESS = "#9CCBEA", "#DDDDDD", "#FFFFFF"
EDGES = {TRAINED: "#0072B2", FROZEN: "#777777", WEIGHTLESS: "#777777"}
WIDTH, HEIGHT, GAP, STACK = 5.6, 0.62, 0.34, 0.05  # inches
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class LayerRow:
    """One box of the picture, from the input down."""

    name: str
    detail: str = ""  # small print beside the name
    shape: str = ""  # of its output
    parameters: int = 0  # weights of all `repeat` layers together
    trained: bool = False
    repeat: int = 1  # so many equal layers in a row


def describe_classifier(
    architecture: BertArchitecture,
    max_length: int,
    pooling: str,
    dropout: float,
    units: int,
    num_classes: int,
    trained_layers: int,
    has_pair: bool = False,
) -> list[LayerRow]:
    """Returns the boxes of a text classifier.

    Args:
        trained_layers: transformer layers that learn, counted from the top; the embeddings learn when all do.
        units: logits of the head (one for the sigmoid form of two classes).
    """
    a = architecture
    frozen_layers = a.num_layers - trained_layers
    hidden = f"[batch, ≤{max_length}, {a.hidden_size}]"
    layer = f"{a.num_heads} heads, {a.hidden_size} → {a.intermediate_size} → {a.hidden_size}"
    rows = [
        LayerRow("two texts" if has_pair else "text", shape="[batch]"),
        LayerRow("WordPiece tokenizer", f"{a.vocab_size:,} word pieces", f"[batch, ≤{max_length}]"),
        LayerRow("embeddings", "word + position + type", hidden, a.embedding_parameters(), frozen_layers == 0),
    ]
    for count, trained in ((frozen_layers, False), (trained_layers, True)):
        if count:
            rows.append(
                LayerRow("transformer layer", layer, hidden, count * a.layer_parameters(), trained, repeat=count)
            )
    pooler = pooling == "pooler"
    words = {
        "pooler": "dense + tanh over [CLS]",
        "cls": "the [CLS] position",
        "mean": "over tokens",
        "max": "over tokens",
    }
    rows.append(
        LayerRow(
            f"{pooling}" if pooler else f"{pooling} pooling",
            words[pooling],
            f"[batch, {a.hidden_size}]",
            a.pooler_parameters() if pooler else 0,
            pooler and trained_layers > 0,
        )
    )
    if dropout:
        rows.append(LayerRow("dropout", f"{dropout:g} while training", f"[batch, {a.hidden_size}]"))
    rows.append(LayerRow("head", "dense", f"[batch, {units}]", (a.hidden_size + 1) * units, True))
    rows.append(LayerRow("probabilities", "sigmoid" if units == 1 else "softmax", f"[batch, {num_classes}]"))
    return rows


def draw_model(layers: Sequence[LayerRow], path: Path) -> Path:
    """Draws the boxes from top to bottom; blue ones learn, grey ones are frozen, white ones have no weights."""
    height = len(layers) * HEIGHT + (len(layers) - 1) * GAP
    figure = new_figure(WIDTH + 0.3, height + 0.75)
    axes = figure.subplots()
    axes.set_xlim(-0.1, WIDTH + 0.1)
    axes.set_ylim(height + 0.05, -0.05)
    axes.set_axis_off()
    for index, row in enumerate(layers):
        top = index * (HEIGHT + GAP)
        _draw_box(axes, row, top)
        if index:
            axes.annotate(
                "",
                xy=(WIDTH / 2, top - _stacked(row) * STACK),
                xytext=(WIDTH / 2, top - GAP),
                arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1, "shrinkA": 1, "shrinkB": 1},
            )
    trained = sum(row.parameters for row in layers if row.trained)
    frozen = sum(row.parameters for row in layers if row.parameters and not row.trained)
    keys = [Patch(facecolor=TRAINED, edgecolor=EDGES[TRAINED], label=f"trained: {_count(trained)} weights")]
    if frozen:
        keys.append(Patch(facecolor=FROZEN, edgecolor=EDGES[FROZEN], label=f"frozen: {_count(frozen)} weights"))
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return save_figure(figure, path)


def _draw_box(axes: Axes, row: LayerRow, top: float) -> None:
    face = WEIGHTLESS if not row.parameters else TRAINED if row.trained else FROZEN
    for behind in reversed(range(_stacked(row) + 1)):
        axes.add_patch(
            FancyBboxPatch(
                (behind * STACK, top - behind * STACK),
                WIDTH - 0.1,
                HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.07",
                facecolor=face,
                edgecolor=EDGES[face],
                linewidth=1,
            )
        )
    name = f"{row.repeat} {TIMES} {row.name}" if row.repeat > 1 else row.name
    axes.text(
        0.16, top + HEIGHT * (0.34 if row.detail else 0.5), name, fontsize=10.5, color=INK, va="center", weight="bold"
    )
    axes.text(0.16, top + HEIGHT * 0.72, row.detail, fontsize=8.5, color=INK, va="center")
    axes.text(
        WIDTH - 0.26, top + HEIGHT * 0.34, row.shape, fontsize=9, color=INK, va="center", ha="right", family="monospace"
    )
    if row.parameters:
        axes.text(
            WIDTH - 0.26, top + HEIGHT * 0.72, f"{_count(row.parameters)} weights", fontsize=8.5, color=INK, va="center", ha="right"
        )  # fmt: skip


def _stacked(row: LayerRow) -> int:
    """Equal layers look like a stack, of at most three."""
    return min(row.repeat, 3) - 1


def _count(number: int) -> str:
    """Writes 28,763,649 as 28.8 M."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)
