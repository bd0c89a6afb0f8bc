"""The one funnel through which every run ends: completed, interrupted or failed, said to the folder and the tracker."""

from __future__ import annotations

import contextlib
import datetime
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bertexp.config.resolve import compose_config, flat_parameters
from bertexp.config.schema import Config, RunConfig
from bertexp.config.store import run_line
from bertexp.config.words import belongs, replace, write
from bertexp.errors import ConfigError, RunInterrupted, RunNotFound, RunPruned
from bertexp.interfaces import RunState
from bertexp.runs.folder import TRAINED, RunFolder, own_words, recorded_words
from bertexp.system.console import labelled, say
from bertexp.system.credentials import hide
from bertexp.system.machine import collect_provenance, provenance_tags
from bertexp.system.signals import StopSignal
from bertexp.tracking.base import Tracker, build_tracker

_MAY_DIFFER = ("trainer.resume", "run.dry", "run.outputs_dir", "tracking", "trainer.log_every_steps", "export")


class RunRecord:
    """A run's folder, tracker and stop signal; ``name`` replaces ``run.name``.

    Entering ``running`` writes ``run.json`` and starts (or, on resume, reopens) the tracked run; leaving it closes both
    with the state that the body's end or exception means, whatever it was.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        overrides: list[str],
        fingerprint: str,
        tags: Mapping[str, str] | None = None,
        name: str | None = None,
    ):
        self.config, self.folder = config, RunFolder(folder)
        self.stop = StopSignal()
        self.parameters = hide(flat_parameters(config))
        self._fingerprint = fingerprint
        self._tags = {"data_fingerprint": fingerprint, **(tags or {})}
        former = self._former_info() if config.trainer.resume else {}
        self.resumed = bool(former)
        self.overrides = hide(replace(recorded_words(former), overrides))  # a resumed run keeps its first ones
        self.tracker = Tracker()
        if not config.trainer.fast_dev_run:
            run_id = former.get("mlflow_run_id")
            self.tracker = build_tracker(config.tracking, name or str(config.run.name), config.run.outputs_dir, run_id)

    @property
    def command(self) -> str:
        """The line that makes this run again."""
        return run_line(*own_words(self.overrides))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The run, from its first line to its last state."""
        in_folder = ending(self._write_end, str(self.folder.path / "run.json"))
        with ending(self.tracker.finish), in_folder, self.stop:  # each end comes, whatever else fails
            provenance = collect_provenance(shlex.split(self.command))
            tags = provenance_tags(provenance) | self._tags
            self.tracker.start(self.parameters, tags, lambda run_id: self.folder.update_info(mlflow_run_id=run_id))
            self.folder.update_info(
                state=RunState.RUNNING,
                reason="",  # of a former end
                overrides=self.overrides,
                command=self.command,
                parameters=self.parameters,
                data_fingerprint=self._fingerprint,
                started=_now(),
                provenance=provenance,
            )
            self.tracker.log_dict(provenance, "provenance.json")
            yield

    def _write_end(self, state: RunState, reason: str) -> None:
        if not self.folder.info:
            return
        self.folder.update_info(state=state, reason=reason, ended=_now())
        if state in (RunState.INTERRUPTED, RunState.FAILED) and any(self.folder.checkpoints.glob("step-*")):
            run_id = self.folder.info.get("mlflow_run_id")
            found_by_id = run_id and self.config.run.outputs_dir == RunConfig.outputs_dir
            known = run_id if found_by_id else str(self.folder.path)
            say(f"go on with: {run_line(write('trainer.resume', known))}")

    def _former_info(self) -> dict[str, Any]:
        """What ``run.json`` says of the run that is resumed, checked against what it is to become now."""
        former = self.folder.info
        if "state" not in former:
            raise RunNotFound(f"{self.folder.path} holds no run to resume; start it without trainer.resume")
        if former["state"] == RunState.COMPLETED and former.get("stage") != TRAINED:
            raise ConfigError(f"the run in {self.folder.path} is complete; start a new one without trainer.resume")
        if different := changed_settings(former, self.parameters):
            raise ConfigError(
                f"a resumed run must keep its settings: {', '.join(different)}; drop these overrides or start a new run"
            )
        if former["data_fingerprint"] != self._fingerprint:
            raise ConfigError(
                "the data, or the rules they are read by, changed since the run began (fingerprint "
                f"{former['data_fingerprint']}, now {self._fingerprint}); restore the data or start a new run"
            )
        return former


def changed_settings(former: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """What a run recorded in ``run.json`` has otherwise than ``parameters`` and must keep, a phrase each.

    A setting that the file does not know counts as what the run's own words mean now; one that there is no more, not.
    """
    then = former["parameters"]
    if not parameters.keys() <= then.keys():  # settings that are newer than the run
        then = flat_parameters(compose_config(recorded_words(former))[0]) | then
    return [
        f"{key} was {then.get(key)} and is {value}"
        for key, value in parameters.items()
        if then.get(key) != value and not belongs(key, _MAY_DIFFER)
    ]


@contextlib.contextmanager
def ending(tell: Callable[[RunState, str], None], record: str = "the tracked run") -> Iterator[None]:
    """Tells ``record`` the end that the body's end or exception means; one that cannot be told does not hide the exception."""
    try:
        yield
    except BaseException as error:
        try:
            tell(*end_of(error))
        except BaseException as second:  # a full disk, mostly: the first error is the one to show
            say(labelled("warning", f"{record} does not tell how the run ended: {second}"))
        raise
    tell(*end_of(None))


def end_of(error: BaseException | None) -> tuple[RunState, str]:
    """The state and the reason with which a run, a trial or a sweep ends that ``error`` has ended."""
    if error is None:
        return RunState.COMPLETED, ""
    reason = str(error) or type(error).__name__
    if isinstance(error, RunPruned):
        return RunState.PRUNED, reason
    stopped = isinstance(error, (RunInterrupted, KeyboardInterrupt))
    return RunState.INTERRUPTED if stopped else RunState.FAILED, reason


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
