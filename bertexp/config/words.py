"""The one reader of override words: what ``model=tiny``, ``trainer.max_steps=2,4`` or ``~sweep`` say, and how to write them.

A word is read with Hydra's own grammar, after a ``~`` that begins its value was replaced by the home folder: the shell
leaves it there, and Hydra cannot read it. Lists of words are plain texts, as they are stored in run folders and studies.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from bertexp.errors import ConfigError, did_you_mean

FLAGS = {  # of Hydra: other spellings, and the values that may follow (an empty tuple: any one)
    "--help": ("-h", None),
    "--multirun": ("-m", None),
    "--run": ("-r", None),
    "--cfg": ("-c", ("job", "hydra", "all")),
    "--resolve": ("", None),
    "--package": ("-p", ()),
    "--info": ("-i", ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")),
    "--config-dir": ("-cd", ()),
    "--shell-completion": ("-sc", None),
    "--hydra-help": ("", None),
    "--version": ("", None),
}
_MODES = ("--run", "--multirun", "--cfg", "--info", "--shell-completion", "--hydra-help", "--version")
_SHORT = {short: flag for flag, (short, _) in FLAGS.items()}
Value = str | int | float | bool  # of a sweep; a text is written in Hydra's grammar
_HOME = re.compile(r"([^=]+)=(~(?:/.*)?)", re.DOTALL)


@dataclass(frozen=True)
class Word:
    """One word, read.

    Attributes:
        text: the word, its home folder spelled out.
        key: the dotted name of a setting, or a config group.
        override: what Hydra's parser made of it.
    """

    text: str
    key: str
    override: Override

    @property
    def is_sweep(self) -> bool:
        """Whether it gives several values."""
        return self.override.is_sweep_override()

    @property
    def value(self) -> Any:
        """The one value that it gives; None of a sweep and of ``~key``."""
        return None if self.is_sweep or self.override.is_delete() else self.override.value()

    @property
    def expression(self) -> str:
        """What stands after the first ``=``, as it is written; empty for ``~key``."""
        return self.override.get_value_string() if "=" in self.text else ""

    @property
    def listed(self) -> list[str]:
        """The texts of the values that the word lists: one value, or a choice; none of an interval or a glob."""
        if self.is_sweep:
            can_be_listed = self.override.is_choice_sweep() and not isinstance(self.override.value(), Glob)
            return list(self.override.sweep_string_iterator()) if can_be_listed else []
        values = self.value if isinstance(self.value, list) else [self.value]
        return [str(value) for value in values if value is not None]


@dataclass(frozen=True)
class SweptValues:
    """Either ``choices``, or the inclusive bounds ``low`` and ``high`` with an optional ``step``."""

    choices: tuple[Value, ...] = ()
    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    log: bool = False


def read(text: str) -> Word:
    """Reads one word.

    Raises:
        ConfigError: it is not of the form ``key=value`` or ``~key``, or its value cannot be read.
    """
    return _parse(_expand_home(text))


def part_flags(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Parts a command line into Hydra's flags, by their long names with their values, and the other words.

    Raises:
        ConfigError: a flag is unknown, lacks its value or goes with no other that is given.
    """
    flags: dict[str, str] = {}
    others: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            others.append(word)
            continue
        name, equals, value = word.partition("=")  # a flag's own, not a setting's
        name = _SHORT.get(name, name)
        if name not in FLAGS:
            raise ConfigError(f"{word} is not a flag; there are {', '.join(FLAGS)}{did_you_mean(name, FLAGS)}")
        allowed = FLAGS[name][1]
        if allowed is not None and not equals and left and (not allowed or left[0] in allowed):
            value = left.pop(0)
        if name != "--info" and allowed is not None and (not value or (allowed and value not in allowed)):
            raise ConfigError(f"{name} needs {'one of ' + ', '.join(allowed) if allowed else 'a value'} after it")
        flags[name] = value
    modes = [flag for flag in _MODES if flag in flags]
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)} do not go together; drop one of them")
    alone = [flag for flag in ("--resolve", "--package") if flag in flags and "--cfg" not in flags]
    if alone:
        raise ConfigError(f"{alone[0]} says how --cfg shows the config; add --cfg job, or drop it")
    return flags, others


def belongs(key: str, names: Iterable[str]) -> bool:
    """Whether ``key`` is one of ``names`` or lies below one, as ``sweep.trials`` lies below ``sweep``."""
    return any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in names)


def value_of(texts: Iterable[str], key: str, default: Any = None) -> Any:
    """The value of ``key`` in a list of words, of which a later one wins; ``default`` if none gives it."""
    found = [word.value for word in map(read, texts) if word.key == key]
    return found[-1] if found else default


def only(texts: Iterable[str], *names: str) -> list[str]:
    """The words whose keys are, or lie below, ``names``."""
    return [text for text in texts if belongs(read(text).key, names)]


def without(texts: Iterable[str], *names: str) -> list[str]:
    """The other words."""
    return [text for text in texts if not belongs(read(text).key, names)]


def replace(texts: Iterable[str], new: Sequence[str]) -> list[str]:
    """``texts`` without the words whose keys ``new`` gives again, and ``new`` after them."""
    given = {read(text).key for text in new}
    return [*(text for text in texts if read(text).key not in given), *new]


def split_overrides(texts: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Divides a command line into fixed overrides and swept ones (name -> expression); a later word wins."""
    last = {word.key: word for word in map(read, texts)}
    fixed = [word.text for word in last.values() if not word.is_sweep]
    return fixed, {key: word.expression for key, word in last.items() if word.is_sweep}


def read_sweep(name: str, expression: str, options: Sequence[str] = ()) -> SweptValues:
    """Reads the values of ``name=expression``, such as ``tag(log, interval(1e-5, 3e-4))``.

    Args:
        options: what ``glob(…)`` chooses from, where ``name`` is a config group.

    Raises:
        ConfigError: the expression is none of Hydra's sweeps, or its values cannot be swept over.
    """
    word = read(f"{name}={expression}")
    if not word.is_sweep:
        raise ConfigError(
            f"the space of {name} is {expression!r}, which is one value: give interval(low, high), range(start, stop, "
            f"step), choice(a, b) or a list a,b"
        )
    override, sweep = word.override, cast(Any, word.override.value())
    log = "log" in getattr(sweep, "tags", ())
    if override.is_interval_sweep():
        whole = isinstance(sweep.start, int) and not log
        return _between(name, sweep.start, sweep.end, 1 if whole else None, log)
    if override.is_range_sweep() and not sweep.shuffle and len(values := list(sweep.range())) > 1:
        numbers = (min(values), max(values), abs(sweep.step))
        kind = int if all(isinstance(number, int) for number in numbers) else float
        low, high, step = map(kind, numbers)
        return _between(name, low, high, None if log else step, log)
    if isinstance(sweep, Glob):
        made: tuple[Value, ...] = tuple(sweep.filter(list(options)))
    else:
        pairs = zip(override.sweep_iterator(), override.sweep_string_iterator(), strict=True)
        made = tuple(value if isinstance(value, (bool, int, float)) else text for value, text in pairs)
    if len(set(made)) < len(made) or not made:
        what = "names a value twice" if made else "has no values"
        raise ConfigError(f"{name}={expression} {what}; list each value once")
    return SweptValues(made)


def _between(name: str, low: float, high: float, step: float | None, log: bool) -> SweptValues:
    if low >= high:
        raise ConfigError(f"the space of {name} runs from {low:g} to {high:g}; the first bound must be the smaller one")
    if log and low <= 0:
        raise ConfigError(
            f"the space of {name} is logarithmic and begins at {low:g}; begin above 0, or leave out tag(log, …)"
        )
    return SweptValues(low=low, high=high, step=step, log=log)


def write(key: str, value: Any) -> str:
    """The word that gives ``key`` this value: None, a bool, a number, a text, or lists and mappings of them."""
    return f"{key}={_in_grammar(value)}"


def command_line(*words: str) -> str:
    """A line to paste into a shell: ``python -m bertexp`` and ``words``, quoted if they must be; of a run, see ``run_line``."""
    return shlex.join(["python", "-m", "bertexp", *words])


def _in_grammar(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_in_grammar(key)}:{_in_grammar(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_in_grammar, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return str(value)
    plain = re.fullmatch(r"[\w./:@%+-]+", value, re.ASCII) and _reads_as(value)
    return value if plain else QuotedString(value, Quote.single).with_quotes()


def _reads_as(text: str) -> bool:
    """Whether Hydra reads ``text`` without quotes as this text, not as a number, true, false or null."""
    try:
        return _parser().parse_override(f"a=[{text}]").value() == [text]
    except HydraException:
        return False


def _expand_home(text: str) -> str:
    home = _HOME.fullmatch(text)
    return f"{home[1]}={QuotedString(os.path.expanduser(home[2]), Quote.single).with_quotes()}" if home else text


@functools.lru_cache(maxsize=1024)  # Hydra's parser takes a millisecond a word, and a sweep reads the same ones often
def _parse(text: str) -> Word:
    try:
        override = _parser().parse_override(text)
    except (HydraException, OmegaConfBaseException) as error:
        if "=" not in text:
            raise ConfigError(f"{text!r} is not a setting like model=tiny") from None
        quoted = re.sub(r"=.*", '="..."', text, flags=re.DOTALL)
        raise ConfigError(f"{text!r} cannot be read; quote values with special characters: '{quoted}'") from error
    return Word(text, override.key_or_group, override)


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()
