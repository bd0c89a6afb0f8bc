"""An HTML page in one file: tables, style, sorting of columns. Loads nothing; every text is escaped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --faint: #666; --line: #ddd; --band: #f5f5f5; --mark: #e3f4ec; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --paper: #181a1b; --faint: #a3a3a3; --line: #3a3d3f; --band: #232627; --mark: #173a2c; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1200px;
       margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
.lead { font-size: 1.15rem; }
pre { background: var(--band); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
summary { cursor: pointer; color: var(--faint); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { white-space: nowrap; border-bottom-width: 2px; }
th[tabindex] { cursor: pointer; }
th[aria-sort=ascending]::after { content: " \\25B2"; }
th[aria-sort=descending]::after { content: " \\25BC"; }
.number { text-align: right; white-space: nowrap; }
td:last-child:not(.number) { min-width: 14rem; overflow-wrap: anywhere; }
.marked td { background: var(--mark); font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1.2rem; }
#slices, #timeline:nth-child(odd) { grid-column: 1 / -1; }  /* alone in its row: the longer, the more can be seen */
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
figure { display: flex; flex-direction: column; }
img { width: 100%; height: 100%; min-height: 0; object-fit: contain; background: #fff; padding: .5rem; box-sizing: border-box; }
figcaption { padding: .5rem .8rem; font-size: .85rem; color: var(--faint); border-top: 1px solid var(--line); }
"""

# a click on a head sorts by its column, a second one the other way round; without JavaScript the table just stands
SCRIPT = """
for (const head of document.querySelectorAll("th")) {
  const sort = () => {
    const up = head.ariaSort !== "ascending", body = head.closest("table").tBodies[0];
    const value = row => { const cell = row.cells[head.cellIndex]; return cell.dataset.value ?? cell.textContent; };
    const order = new Intl.Collator(undefined, {numeric: true}).compare;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return (up ? 1 : -1) * (isNaN(x) || isNaN(y) ? order(x, y) : x - y);
    });
    for (const other of head.parentNode.cells) other.ariaSort = null;
    head.ariaSort = up ? "ascending" : "descending";
    body.append(...rows);
  };
  head.tabIndex = 0;
  head.onclick = sort;
  head.onkeydown = event => { if (event.key === "Enter") sort(); };
}
"""


@dataclass(frozen=True)
class Cell:
    """A number in a table, as it is shown and as it is sorted."""

    text: str
    value: float


def make_table(heads: Sequence[str], lines: Sequence[Sequence[Cell | str]], marked: Collection[int] = ()) -> str:
    """A table of texts and numbers; the lines with the indices ``marked`` stand out."""
    numeric = [any(isinstance(line[column], Cell) for line in lines) for column in range(len(heads))]
    looks = [" class='number'" if number else "" for number in numeric]
    top = "".join(f"<th{look}>{escape(head)}</th>" for head, look in zip(heads, looks, strict=True))
    html = ["<div class='scroll'><table>", f"<thead><tr>{top}</tr></thead><tbody>"]
    for index, line in enumerate(lines):
        cells = "".join(_cell(cell, look) for cell, look in zip(line, looks, strict=True))
        html.append(f"<tr{' class=marked' if index in marked else ''}>{cells}</tr>")
    return "\n".join([*html, "</tbody></table></div>"])


def make_page(title: str, parts: Sequence[str]) -> str:
    """A whole document; ``parts`` are HTML already."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{chr(10).join(part for part in parts if part)}
<script>{SCRIPT}</script>
</body>
</html>
"""


def _cell(cell: Cell | str, look: str) -> str:
    if isinstance(cell, Cell):
        return f"<td{look} data-value='{cell.value:.17g}'>{escape(cell.text)}</td>"
    return f"<td{look}>{escape(cell)}</td>"
