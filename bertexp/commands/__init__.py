"""The commands beside a run, each a module here: it reads its words, calls rooms and prints."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from bertexp.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Command:
    """One line of the registry; the module of the command's name has a ``main(words) -> exit status``."""

    name: str
    words: str  # what follows the name, for the page of --help
    sentence: str

    def __call__(self, words: Sequence[str]) -> int:
        """Runs the command; returns its exit status."""
        return importlib.import_module(f"bertexp.commands.{self.name}").main(words)


COMMANDS = {
    command.name: command
    for command in (
        Command("encode", "--out FOLDER [...]", "large data: sharded, encoded once, trained from often"),
        Command("compare", "RUN RUN ...", "what differs, with intervals and paired tests"),
        Command("predict", 'RUN "text" ...', "ask a run's exported model about texts"),
        Command("ui", "", "the runs in the MLflow UI"),
        Command("doctor", "", "versions, devices, store, caches: what is amiss, and what mends it"),
    )
}


def refuse(word: str) -> ConfigError:
    """The mistake of a first word that is neither a command nor a setting; names the nearest command."""
    return ConfigError(
        f"{word!r} is neither a command ({', '.join(COMMANDS)}) nor a setting like model=tiny{did_you_mean(word, COMMANDS)}"
    )
