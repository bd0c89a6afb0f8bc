"""Draws docs/images/architecture.svg: the rooms of the package and who imports whom, read from the imports themselves.

    python scripts/make_architecture.py

A box is a room, its chips are the rooms in it; heavy ones are shaded. An arrow is an import: a line if it runs when the
module is imported, dashes if only in functions. Rooms at the bottom are for all others: arrows to them are left out, as are
those to a `spec.py`, which every room may read. An arrow upwards is red, for it goes against the order of the rooms.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from imports import ROOT, imports, light_modules, modules, own_module

PICTURE = ROOT / "docs" / "images" / "architecture.svg"
ROWS = (  # from what a user calls down to what all others stand on; a room's imports go downwards
    ("__main__",),
    ("commands", "sweeps"),
    ("runs",),
    ("tasks",),
    ("serving", "reports", "training"),
    ("tracking", "models", "data"),
)
BASE = ("config", "system", "interfaces", "errors")
WIDTH, GAP, CHIP, LETTER = 1060, 118, 20, 6.4
INK, RED, LIGHT, HEAVY, SHADE = "#37474f", "#c62828", "#ffffff", "#ffcc80", "#eceff1"


class Box(NamedTuple):
    """A room on the picture; all in pixels."""

    room: str
    x: float
    y: float
    width: float
    height: float
    chips: list[tuple[str, bool]]  # rooms in it, and whether they are heavy


def room_of(module: str) -> str:
    """Returns the room of a module: the part of its name after the package's."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "bertexp" and rest else "__main__"


def chips_of(room: str) -> list[tuple[str, bool]]:
    """Returns a room's own files under its name, then the rooms in it, each with whether any module there is heavy."""
    heavy: dict[str, bool] = {}
    for module, path in modules().items():
        if module.startswith("bertexp.") and room_of(module) == room and path.name not in ("__init__.py", "spec.py"):
            inner = module.split(".")[2] if len(path.relative_to(ROOT).parts) > 3 else ""
            heavy[inner] = heavy.get(inner, False) or module not in light_modules()
    return sorted(heavy.items())


def arrows() -> dict[tuple[str, str], bool]:
    """Returns who imports whom, and whether in functions alone."""
    found: dict[tuple[str, str], bool] = {}
    for module in modules():
        for one in imports(module):
            target = own_module(one.module)
            if target is None or target.rpartition(".")[2] in ("spec", "registry") or target == "bertexp":
                continue
            pair = room_of(module), room_of(target)
            if pair[0] != pair[1] and pair[1] not in BASE:
                found[pair] = found.get(pair, True) and one.in_function
    return dict(sorted(found.items()))


def boxes() -> dict[str, Box]:
    """Lays the rooms out in rows.

    Raises:
        ValueError: a room stands in no row.
    """
    laid_out: dict[str, Box] = {}
    for number, row in enumerate((*ROWS, BASE)):
        parts = {room: chips_of(room) for room in row}
        widths = {
            room: max(_width(room), sum(_width(name) for name, _ in chips if name)) + 12
            for room, chips in parts.items()
        }
        space = (WIDTH - sum(widths.values())) / (len(row) + 1)
        x = space
        for room, chips in parts.items():
            inner = any(name for name, _ in chips)
            laid_out[room] = Box(room, x, 16 + number * GAP, widths[room], 50 if inner else 28, chips)
            x += widths[room] + space
    missing = {room_of(module) for module in modules()} - {*laid_out}
    if missing:
        raise ValueError(f"give these rooms a place in ROWS: {', '.join(sorted(missing))}")
    return laid_out


def _width(text: str) -> float:
    return len(text) * LETTER + 16


def draw() -> str:
    """Returns the picture as SVG."""
    laid_out, drawn = boxes(), arrows()
    height = max(box.y + box.height for box in laid_out.values()) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
        *(f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
          f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker></defs>' for name, colour in (("ink", INK), ("red", RED))),
        *_draw_arrows(laid_out, drawn),
        *(line for box in laid_out.values() for line in _draw_box(box)),
        *_draw_legend(height - 18),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _draw_arrows(laid_out: dict[str, Box], drawn: dict[tuple[str, str], bool]) -> Iterator[str]:
    for (source, target), lazy in drawn.items():
        a, b = laid_out[source], laid_out[target]
        upwards = a.y > b.y
        out, into = (
            _port(a, b, laid_out, [t for s, t in drawn if s == source]),
            _port(b, a, laid_out, [s for s, t in drawn if t == target]),
        )
        if a.y == b.y:  # side by side: over the boxes
            path = f"M{out:.0f} {a.y:.0f}C{out:.0f} {a.y - 30:.0f} {into:.0f} {b.y - 30:.0f} {into:.0f} {b.y - 1:.0f}"
        else:
            begin, end = (a.y, b.y + b.height + 1) if upwards else (a.y + a.height, b.y - 1)
            middle = (begin + end) / 2
            path = f"M{out:.0f} {begin:.0f}C{out:.0f} {middle:.0f} {into:.0f} {middle:.0f} {into:.0f} {end:.0f}"
        colour, marker = (RED, "red") if upwards else (INK, "ink")
        dashes = ' stroke-dasharray="5 4"' if lazy else ""
        yield (
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.2"{dashes} marker-end="url(#{marker})">'
            f"<title>{source} imports {target}</title></path>"
        )


def _port(box: Box, other: Box, laid_out: dict[str, Box], others: list[str]) -> float:
    """Where an arrow touches a box: its arrows stand side by side in the order of their other ends."""
    order = sorted(others, key=lambda room: laid_out[room].x + laid_out[room].width / 2)
    return box.x + box.width * (order.index(other.room) + 1) / (len(order) + 1)


def _draw_box(box: Box) -> Iterator[str]:
    own = dict(box.chips).get("", False)
    yield f'<rect x="{box.x:.0f}" y="{box.y}" width="{box.width:.0f}" height="{box.height}" rx="5" fill="{HEAVY if own else SHADE}" stroke="{INK}"/>'
    yield f'<text x="{box.x + box.width / 2:.0f}" y="{box.y + 18}" text-anchor="middle" font-weight="bold">{escape(box.room)}</text>'
    x = box.x + 6
    for name, heavy in box.chips:
        if name:
            width = _width(name)
            yield f'<rect x="{x + 2:.0f}" y="{box.y + 25}" width="{width - 4:.0f}" height="{CHIP}" rx="3" fill="{HEAVY if heavy else LIGHT}" stroke="{INK}" stroke-width="0.6"/>'
            yield f'<text x="{x + width / 2:.0f}" y="{box.y + 39}" text-anchor="middle" font-size="11">{escape(name)}</text>'
            x += width


def _draw_legend(y: float) -> Iterator[str]:
    words = ((SHADE, "light: answers in a second"), (HEAVY, "heavy: imports TensorFlow, MLflow, Optuna, …"))
    for x, (colour, text) in zip((30, 240), words, strict=True):
        yield f'<rect x="{x}" y="{y - 10:.0f}" width="14" height="12" fill="{colour}" stroke="{INK}" stroke-width="0.6"/>'
        yield f'<text x="{x + 20}" y="{y:.0f}" font-size="11">{text}</text>'
    yield f'<text x="560" y="{y:.0f}" font-size="11">dashes: imported in functions only; the lowest row is for all rooms, without arrows</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE)
