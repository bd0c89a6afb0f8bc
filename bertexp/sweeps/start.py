"""The beginning of a sweep: all that can be checked is checked, the plan is shown, the study made. Light until then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config, SweepConfig
from bertexp.config.words import replace, split_overrides, without, write
from bertexp.errors import ConfigError
from bertexp.runs.plan import describe_plan
from bertexp.sweeps.fingerprint import keep_in_folder, require_same_folder, with_fingerprint
from bertexp.sweeps.progress import describe_end, describe_sweep
from bertexp.sweeps.samplers import require_packages
from bertexp.sweeps.spec import SweepSpec, check_space, choose_sampler, count_trials, local_overrides, make_spec
from bertexp.sweeps.storage import check_storage
from bertexp.system.console import labelled, say


@dataclass(frozen=True)
class NamedSweep:
    """A sweep as one command line asks for it."""

    spec: SweepSpec
    config: Config  # of the fixed settings
    job_words: list[str]  # the command line of a worker


def name_sweep(arguments: Sequence[str]) -> NamedSweep:
    """Reads the command line of ``-m`` without Hydra's own settings.

    Raises:
        BertexpError: it asks for no sweep, or for an impossible one.
    """
    words = without(arguments, "hydra")
    fixed, _ = split_overrides(words)
    config, _ = compose_config(fixed)
    spec = make_spec(words, config)
    config.sweep.name = spec.name
    return NamedSweep(spec, config, replace(fixed, [write("sweep.name", spec.name)]))


def begin_sweep(sweep: NamedSweep, folder: str, workers: int) -> bool:
    """Checks the whole space, prints the plan and makes the study; false where there is nothing to run.

    Raises:
        BertexpError: a trial would meet a mistake, or the study holds another sweep.
    """
    rules = sweep.config.sweep
    check_storage(rules.storage)
    require_packages(choose_sampler(rules, sweep.spec.space))
    probes = check_space(sweep.spec, sweep.job_words)
    say(describe_sweep(sweep.spec, rules, folder, workers))
    if sweep.config.run.dry:
        say(f"each trial {describe_plan(probes[0][1], sweep.config, f'{folder}/trial-0000')}")
        return False
    from bertexp.sweeps.work.study import SweepStudy
    from bertexp.sweeps.work.summary import summarize

    place, spec = Path(folder), with_fingerprint(sweep.spec, probes)
    require_same_folder(spec, place)
    study = SweepStudy(place, rules, spec)
    keep_in_folder(study.spec, place)
    if again := study.retry_failed():
        say(labelled("again", f"{again} failed trials are tried anew, for no trial has completed"))
    if not study.is_done(count_trials(rules, sweep.spec.space)):
        return True
    say(f"\nthe sweep is done: {study.ended} trials have ended; a higher sweep.trials goes on with it")
    say(describe_end(summarize(study, local_overrides(sweep.job_words)), place))
    return False


def count_workers(sweep: SweepConfig, launcher: Mapping[str, Any]) -> int:
    """How many jobs the launcher gets: ``sweep.workers``, or as many as it runs at a time.

    Raises:
        ConfigError: several workers, and a launcher that runs one job after the other.
    """
    basic = str(launcher.get("_target_", "")).endswith("BasicLauncher")
    at_once = launcher.get("n_jobs")
    wanted = sweep.workers or (at_once if isinstance(at_once, int) and at_once > 0 else 1)
    if basic and wanted > 1:
        raise ConfigError(
            f"sweep.workers={wanted} needs a launcher that runs jobs side by side: add hydra/launcher=joblib (pip install "
            f"'bertexp[joblib]'), or give the same command in {wanted} terminals without sweep.workers"
        )
    return wanted
