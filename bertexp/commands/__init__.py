"""The commands beside a run, each a module here: it reads its words, calls rooms and prints.

RUN and texts stand by position, a command's own options as ``--name value``, settings as ``key=value``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from bertexp.config.schema import RunConfig
from bertexp.config.store import group_options
from bertexp.config.words import read
from bertexp.errors import IS_EMPTY, ConfigError, did_you_mean


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


class CommandParser(argparse.ArgumentParser):
    """An argparse parser in our style, whose errors are one sentence at the one door.

    Args:
        name: the command's, as in the registry.
        positional: what the words by position are, "settings" of a run or something else, such as "runs". Of settings,
            ``name=value`` is read as ``--name value`` if the command has such an option. A command that reads something
            else takes one setting, ``run.outputs_dir=DIR``, and leaves every other word as it is.
        examples: lines shown below the help.
    """

    def __init__(self, name: str, positional: str = "settings", examples: str = ""):
        super().__init__(
            prog=f"python -m bertexp {name}",
            description=f"{COMMANDS[name].sentence}.",
            epilog=examples and f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._name, self._positional = name, positional
        if positional == "settings":
            self.add_argument(
                "settings", nargs="*", metavar="setting=value", help="as of a run: run.outputs_dir=DIR, …"
            )
        else:
            where, home = "where runs lie; also run.outputs_dir=DIR (default: outputs)", os.path.expanduser
            self.add_argument("--outputs-dir", type=home, default=RunConfig.outputs_dir, metavar="DIR", help=where)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The command's options, with ``settings`` or ``outputs_dir``; what follows ``--`` is by position.

        Raises:
            ConfigError: an option is unknown, empty or lacks its value, or a word is neither an option nor a setting.
        """
        end = words.index("--") if "--" in words else len(words)
        options = self.parse_intermixed_args(list(map(self._as_option, words[:end])))
        getattr(options, self._positional).extend(words[end + 1 :])
        for name, value in vars(options).items():
            if value == "":
                flag = f"--{name.replace('_', '-')}"
                what = flag if flag in self._option_string_actions else name.upper()
                raise ConfigError(f"{self._name}: {what} {IS_EMPTY}")
        if self._positional == "settings":
            for word in options.settings:
                self._check_setting(word)
        return options

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print with its usage."""
        unknown = re.match(r"unrecognized arguments: (-\S+)", message)
        hint = did_you_mean(unknown[1], self._option_string_actions) if unknown else ""
        raise ConfigError(f"{self._name}: {message}{hint}; `{self.prog} --help` shows how it is used")

    def _as_option(self, word: str) -> str:
        if self._positional != "settings":
            return f"--outputs-dir={read(word).value}" if word.startswith("run.outputs_dir=") else word
        own = re.match(r"(\w[\w-]*)=", word)
        return f"--{word}" if own and f"--{own[1]}" in self._option_string_actions else word

    def _check_setting(self, word: str) -> None:
        """Says what a word could mean that has no dot and is no group, for it may be an option of the command's."""
        name = word.lstrip("~+").partition("=")[0]  # also of a word that cannot be read
        own = [option.removeprefix("--") for option in self._option_string_actions if option.startswith("--")]
        if "." not in name and "/" not in name and name not in group_options():
            hint = did_you_mean(name, [*own, *group_options()])
            raise ConfigError(f"{name} is no setting of {self._name}{hint}; `{self.prog} --help` shows them")


def positive(word: str) -> int:
    """A whole number above 0, for ``add_argument(type=positive)``."""
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word} is not a whole number above 0")
    return int(word)
