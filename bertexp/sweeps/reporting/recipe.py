"""The best trial of a sweep as a recipe: a YAML file like those in ``experiments/``."""

from __future__ import annotations

from bertexp.config.store import as_recipe, run_line
from bertexp.interfaces import RunState
from bertexp.sweeps.reporting.facts import show_value
from bertexp.sweeps.work.summary import SweepSummary


def make_recipe(summary: SweepSummary) -> str:
    """The best trial's settings as the text of a recipe; of several objectives, those of the front's first trial.

    Where this sweep's workers write and track (``summary.local``) is left out: a recipe is read on other machines.
    """
    row = summary.best_row
    assert row is not None
    spec = summary.spec
    words = [*spec.trial_overrides(row.point), *row.derived]
    found = [f"{name} {show_value(name, value)}" for name, value in zip(spec.objectives, row.values, strict=True)]
    done = sum(trial.state == RunState.COMPLETED for trial in summary.trials)
    where = "the best" if len(summary.best) == 1 else f"on the Pareto front ({len(summary.best)} trials)"
    comments = [
        f"Trial {row.number} of the sweep {spec.name}, {where} of {done} completed; {', '.join(found)}.",
        f"command: {run_line(*words)}",
        f"or copied to experiments/{spec.name}.yaml: {run_line(f'experiment={spec.name}')}",
        "The value is of the split that chose among the trials, so it is optimistic; a test split says what to expect.",
    ]
    # one line each, whatever a value holds: a line break would end the comment and begin a setting
    head = "".join(f"# {' '.join(comment.splitlines())}\n" for comment in comments)
    return f"# @package _global_\n{head}{as_recipe(words)}"
