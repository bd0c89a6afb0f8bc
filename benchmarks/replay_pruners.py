"""What a pruner saves and what it costs: full trials, recorded once, replayed under each pruner in random orders.

Usage:
    python -m bertexp -m sweep=lr_warmup sweep.pruner=none sweep.sampler=random sweep.trials=24 trainer.validate_every_steps=14 ...
    python benchmarks/replay_pruners.py outputs/sweeps/<name> [--orders 200]

Cost is the share of all validations that were reached; regret is how far the best completed trial of a replay lies below
the best of all trials, in points of the objective.
"""

from __future__ import annotations

import argparse
import random
import statistics
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from bertexp.sweeps.samplers import build_pruner
from bertexp.sweeps.storage import open_storage

PRUNERS = ("none", "median", "successive_halving", "hyperband")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="folder of a sweep whose trials all ran to their ends")
    parser.add_argument("--orders", type=int, default=200)
    arguments = parser.parse_args()
    storage, _ = open_storage(arguments.sweep, None)
    study = optuna.load_study(storage=storage, study_name=None)
    trials = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    print(f"{len(trials)} trials of {study.study_name}, {arguments.orders} random orders")
    print(f"{'pruner':<20}{'median cost':>12}{'worst':>8}{'median regret':>15}{'90%':>8}{'worst':>8}  (points)")
    for name in PRUNERS:
        replays = [replay(name, shuffled(trials, seed), study.direction, seed) for seed in range(arguments.orders)]
        costs, regrets = zip(*replays, strict=True)
        ninety = sorted(regrets)[int(0.9 * len(regrets))]
        print(
            f"{name:<20}{statistics.median(costs):>12.0%}{max(costs):>8.0%}{100 * statistics.median(regrets):>15.2f}"
            f"{100 * ninety:>8.2f}{100 * max(regrets):>8.2f}"
        )


def shuffled(trials: list[FrozenTrial], seed: int) -> list[FrozenTrial]:
    return random.Random(seed).sample(trials, len(trials))


def replay(
    name: str, trials: list[FrozenTrial], direction: optuna.study.StudyDirection, seed: int
) -> tuple[float, float]:
    """Runs recorded trials in the given order; returns cost and regret."""
    reports = max(len(trial.intermediate_values) for trial in trials)
    pruner = build_pruner(name, reports)
    study = optuna.create_study(direction=direction.name.lower(), study_name=f"order-{seed}")
    done, found = 0, []
    for recorded in trials:
        trial = study.ask()
        pruned = False
        for index, value in sorted(recorded.intermediate_values.items()):
            trial.report(value, index)
            done += 1
            frozen = study.get_trials(deepcopy=False)[trial.number]
            if index < reports and pruner.prune(study, frozen):
                pruned = True
                break
        if pruned:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, recorded.value)
            found.append(recorded.value)
    total = sum(len(trial.intermediate_values) for trial in trials)
    values = [trial.value for trial in trials]
    up = direction == optuna.study.StudyDirection.MAXIMIZE
    regret = max(values) - max(found) if up else min(found) - min(values)
    return done / total, regret


if __name__ == "__main__":
    main()
