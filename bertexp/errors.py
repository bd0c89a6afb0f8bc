"""The one exception family of bertexp.

A ``BertexpError`` is a mistake the user can mend: its message is one clear sentence that names the mistake and the
cure, and the door (``__main__``) prints it without a traceback and exits with ``exit_status``. Anything else that
escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable

from bertexp.system.credentials import hide

IS_EMPTY = "is empty, as a variable of the shell that is not set leaves it; give it a value, or leave it out"


class BertexpError(Exception):
    """Something the user can mend; the message is shown as it is, but for the secrets of addresses in it."""

    exit_status = 2

    def __str__(self) -> str:
        return hide(super().__str__())


class ConfigError(BertexpError):
    """A value, a name or a combination in the configuration is wrong."""


class DataError(BertexpError):
    """A data file is missing, malformed or does not hold what the configuration says."""


class WeightsError(BertexpError):
    """Pretrained weights are missing, incomplete or of another architecture than asked for."""


class NetworkError(BertexpError):
    """An address that a run needs cannot be reached."""


class EnvironmentProblem(BertexpError):
    """The machine lacks what was asked for (a GPU, a package, disk space)."""


class DiskFull(EnvironmentProblem):
    """No space is left on a disk that is written to."""


class RunNotFound(BertexpError):
    """A run id, folder or checkpoint that was named does not exist."""


class FormatUnknown(BertexpError):
    """A file has a format that only a later bertexp knows."""


class ExportError(BertexpError):
    """The exported model does not reproduce the trained one."""


class TrackingError(BertexpError):
    """The store that should record the run cannot be used."""


class TrainingDiverged(BertexpError):
    """The loss stopped being a number; the last good checkpoint was kept."""


class RunPruned(BertexpError):
    """A sweep's pruner ended the run; the message says at which step and against what."""


class SweepFailed(BertexpError):
    """More trials failed than a sweep bears."""


class RunInterrupted(BertexpError):
    """SIGINT or SIGTERM arrived; a checkpoint was written and the run ended as interrupted."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message, signal_number)  # both, so that it can be pickled
        self.exit_status = 128 + signal_number

    def __str__(self) -> str:
        return hide(str(self.args[0]))


class TrialTaken(RunInterrupted):
    """Another worker goes on with a sweep's trial, since this one had not renewed its lease in time."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest of ``known``, or an empty string when none is close."""
    import difflib  # of no use to a start without mistakes

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.65)  # at 0.6 "text" is like "intent"
    return f"; did you mean {close[0]!r}?" if close else ""
