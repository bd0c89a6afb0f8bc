"""The report of a sweep: pictures, one HTML file that holds them all, and the best trial as a recipe."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bertexp.config.store import as_recipe, run_line
from bertexp.interfaces import RunState
from bertexp.reports.pictures.figures import save_figure
from bertexp.sweeps.progress import show_seconds, show_setting, show_value
from bertexp.sweeps.reporting import figures
from bertexp.sweeps.reporting.page import Cell, make_page, make_table
from bertexp.sweeps.spec import choose_sampler
from bertexp.sweeps.work.summary import SweepSummary, TrialSummary
from bertexp.system.files import write_text

Draw = Callable[[SweepSummary], "Figure | None"]
FIGURES: dict[str, tuple[Draw, str]] = {
    "history": (
        figures.draw_history,
        "Each trial's objective and the best so far; crosses are pruned trials at their last report, what lies far behind is "
        "off the axis.",
    ),
    "pareto": (
        figures.draw_pareto,
        "The two objectives of every completed trial; no trial beats one of the front in both.",
    ),
    "seeds": (
        figures.draw_seeds,
        "Every seed of the best trials: differences smaller than this spread are no differences; trials far behind are left out.",
    ),
    "curves": (figures.draw_curves, "How the objective grew from validation to validation; grey trials were pruned."),
    "importances": (
        figures.draw_importances,
        "How much of the objective's variance each setting explains (functional ANOVA); of few trials, a rough guide.",
    ),
    "slices": (figures.draw_slices, "The objective over each setting, whatever the other settings were."),
    "contour": (
        figures.draw_contour,
        "The objective between the trials, interpolated; pruned trials count with their last report, so they look worse "
        "than they might have become.",
    ),
    "timeline": (figures.draw_timeline, "Who worked on which trial and when; pale bars have no known end."),
}


def write_report(summary: SweepSummary, folder: Path, shipped: Mapping[str, Any] | None = None) -> list[Path]:
    """Writes ``figures/*.png``, ``report.html`` and, once a trial has completed, ``best.yaml``.

    Args:
        shipped: metrics of the best trial's test (of its best seed's, where there are several) and their 95%
            intervals, such as ``{"test/accuracy": 0.91, "intervals": {"test/accuracy": [0.90, 0.92]}}``.

    Returns:
        The paths written. Pictures for which the trials do not suffice are left out.
    """
    drawn = {}
    for name, (draw, _) in FIGURES.items():
        figure = draw(summary)
        if figure is not None:
            figures.add_legend(figure)
            drawn[name] = save_figure(figure, folder / "figures" / f"{name}.png")
    recipe = make_recipe(summary) if summary.best else ""
    written = list(drawn.values())
    if recipe:
        write_text(folder / "best.yaml", recipe)
        written.append(folder / "best.yaml")
    write_text(folder / "report.html", make_html(summary, drawn, recipe, shipped))
    return [*written, folder / "report.html"]


def make_html(
    summary: SweepSummary, drawn: Mapping[str, Path], recipe: str, shipped: Mapping[str, Any] | None = None
) -> str:
    """The page; the pictures ``drawn`` are put into it by content, by the names of ``FIGURES``."""
    spec = summary.spec
    parts = [f"<p class='lead'>{escape(describe_result(summary))}</p>"]
    parts += [f"<p>{escape(text)}</p>" for text in describe_test(summary, shipped)]
    if summary.best:
        many = f" of trial {summary.best[0]}, the first of the front" if len(summary.best) > 1 else ""
        parts += [
            f"<h2>The {'' if many else 'best '}configuration{many}</h2>",
            f"<pre>{escape(summary.best_command)}</pre>",
            f"<details><summary>as a recipe: best.yaml</summary><pre>{escape(recipe)}</pre></details>",
        ]
    parts += ["<h2>The sweep</h2>", "<dl>"]
    parts += [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in describe_rules(summary).items()]
    best = summary.winner
    heads = ["setting", "values", *([f"best, trial {best.number}"] if best else [])]
    space = [
        [name, text, *([show_setting(best.point.get(name, ""))] if best else [])]
        for name, text in spec.space.describe().items()
    ]
    parts += ["</dl>", make_table(heads, space)]
    workers = find_workers(summary)
    if workers:
        parts += ["<h2>The workers</h2>", make_table(["worker", "trials", "busy", "of the whole time"], workers)]
    if drawn:
        pictures = (_figure(name, path) for name, path in drawn.items())
        parts += ["<h2>The pictures</h2><div class='figures'>", *pictures, "</div>"]
    parts += ["<h2>All trials</h2>", _trial_table(summary)]
    return make_page(f"Sweep {spec.name}", parts)


def describe_result(summary: SweepSummary) -> str:
    """The result in a sentence or two."""
    names = summary.spec.objectives
    done = summary.count(RunState.COMPLETED)
    if not summary.best:
        return f"No trial of {len(summary.trials)} has completed, so there is no best one."
    if len(summary.best) > 1:
        front = sorted(summary.front, key=lambda trial: trial.values[0])
        ends = [f"trial {trial.number} ({_values(names, trial.values)})" for trial in (front[0], front[-1])]
        return f"{len(front)} of {done} completed trials are on the Pareto front, from {ends[0]} to {ends[1]}."
    trial = summary.front[0]
    spread = f"; {_spread(names[0], trial)}" if trial.seed_values else ""
    return f"Trial {trial.number} is the best of {done} completed: {_values(names, trial.values)}{spread}."


def describe_test(summary: SweepSummary, shipped: Mapping[str, Any] | None) -> Iterator[str]:
    """What is known of the best trial beyond the split that chose it, and how much that choice is worth."""
    shipped = shipped or {}
    metrics = {name: value for name, value in shipped.items() if name.startswith("test/") and value is not None}
    if metrics:
        texts = {name: f"{name} {value:.4f}" for name, value in metrics.items()}
        for name, (low, high) in shipped.get("intervals", {}).items():
            if name in texts:
                texts[name] += f" (95% interval {low:.4f} to {high:.4f})"
        first = summary.spec.objectives[0].replace("val/", "test/")
        which = f"trial {summary.best[0]}" + ("'s best seed" if summary.spec.seeds > 1 else "")
        ordered = sorted(texts, key=lambda name: name != first)  # the others stay in their order
        yield f"On the test split, {which} has {', '.join(texts[name] for name in ordered)}."
    done = summary.count(RunState.COMPLETED)
    if summary.best and done > 1:
        yield (
            f"The best of {done} by validation is optimistic: it was chosen for its luck with these rows too. "
            f"{_which_to_quote(bool(metrics), bool(shipped.get('tests_on_validation')))}"
        )


def _which_to_quote(tested: bool, on_validation: bool) -> str:
    if on_validation:
        return "So is the test figure, for the test split holds the very rows that chose the trial."
    return "The test figure is the one to quote." if tested else "Quote the figure of a test split, not this one."


def describe_rules(summary: SweepSummary) -> dict[str, str]:
    """What was looked for, how, and what came of it: a name and a text each."""
    spec = summary.spec
    goals = [f"{name} ({direction})" for name, direction in zip(spec.objectives, spec.directions, strict=True)]
    states = (RunState.COMPLETED, RunState.PRUNED, RunState.FAILED, RunState.RUNNING)
    counts = {state: summary.count(state) for state in states}
    seeds = "1" if spec.seeds == 1 else f"{spec.seeds} a trial, from {spec.base_seed}; the objective is their mean"
    facts = {
        "objective" if len(goals) == 1 else "objectives": f"{', '.join(goals)}, of each run's best checkpoint",
        "trials": ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none yet",
        "sampler": choose_sampler(summary.rules, spec.space),
        "pruner": summary.rules.pruner,
        "seeds": seeds,
        "fixed settings": " ".join(spec.overrides) or "the defaults",
    }
    if counts[RunState.PRUNED]:
        facts["saved by pruning"] = (
            f"about {show_seconds(summary.seconds_saved)}; the ended trials did {summary.step_share:.0%} of the optimizer "
            f"steps that they would have done unpruned"
        )
    return facts


def make_recipe(summary: SweepSummary) -> str:
    """The best trial's settings as the text of a recipe; of several objectives, those of the front's first trial.

    Where this sweep's workers write and track (``summary.local``) is left out: a recipe is read on other machines.
    """
    trial, spec = summary.front[0], summary.spec
    words = [*spec.trial_overrides(trial.point), *trial.derived]
    where = "the best" if len(summary.best) == 1 else f"on the Pareto front ({len(summary.best)} trials)"
    done, values = summary.count(RunState.COMPLETED), _values(spec.objectives, trial.values)
    comments = [
        f"Trial {trial.number} of the sweep {spec.name}, {where} of {done} completed; {values}.",
        f"command: {run_line(*words)}",
        f"or copied to experiments/{spec.name}.yaml: {run_line(f'experiment={spec.name}')}",
        "The value is of the split that chose among the trials, so it is optimistic; a test split says what to expect.",
    ]
    # one line each, whatever a value holds: a line break would end the comment and begin a setting
    head = "".join(f"# {' '.join(comment.splitlines())}\n" for comment in comments)
    return f"# @package _global_\n{head}{as_recipe(words)}"


def find_workers(summary: SweepSummary) -> list[list[Cell | str]]:
    """A line for each worker, the busiest first: its name, trials, seconds of work and their share of the sweep's time."""
    spans = summary.spans
    whole = max((span.end for span in spans), default=0.0) - min((span.begin for span in spans), default=0.0)
    lines = []
    for name in dict.fromkeys(span.worker for span in spans):
        own = [span for span in spans if span.worker == name]
        trials, busy = len({span.number for span in own}), sum(span.end - span.begin for span in own)
        share = busy / max(whole, 1e-9)
        lines.append([name, Cell(str(trials), trials), Cell(show_seconds(busy), busy), Cell(f"{share:.0%}", share)])
    return sorted(lines, key=lambda line: -line[2].value)


def _trial_table(summary: SweepSummary) -> str:
    """Every trial; the ones that are best are marked."""
    spec = summary.spec
    heads = ["trial", "state", *spec.objectives, *spec.space.names, "steps", "seconds", "reason"]
    lines = []
    for trial in summary.trials:
        values = trial.values or (trial.value, *(None,) * (len(spec.objectives) - 1))
        shown = [
            Cell(show_value(n, v), v) if v is not None else "" for n, v in zip(spec.objectives, values, strict=True)
        ]
        point = [_setting(trial.point.get(name, "")) for name in spec.space.names]
        steps = Cell(f"{trial.steps[0]:,} of {trial.steps[1]:,}", trial.steps[0]) if trial.steps[1] else ""
        times = [steps, Cell(f"{trial.seconds:,.0f}", trial.seconds)]
        lines.append([Cell(str(trial.number), trial.number), trial.state, *shown, *point, *times, trial.reason])
    return make_table(heads, lines, marked=summary.best)


def _setting(value: Any) -> Cell | str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(show_setting(value), value) if is_number else show_setting(value)


def _figure(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    caption = escape(FIGURES[name][1])
    return f"<figure id='{name}'><img alt='{name}' src='data:image/png;base64,{data}'><figcaption>{caption}</figcaption></figure>"


def _values(names: Sequence[str], values: Sequence[float]) -> str:
    return ", ".join(f"{name} {show_value(name, value)}" for name, value in zip(names, values, strict=True))


def _spread(name: str, trial: TrialSummary) -> str:
    values = [of_seed[0] for of_seed in trial.seed_values]
    return f"the mean of {len(values)} seeds, from {show_value(name, min(values))} to {show_value(name, max(values))}"
