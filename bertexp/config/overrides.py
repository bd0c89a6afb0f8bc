"""Checks the words of a command line before Hydra composes them, and says what is wrong in one sentence.

Hydra's own messages differ between its versions, suggest ``+`` for every typo and let ``+anything=1`` pass; here each
name is looked up in the schema and in the config groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bertexp.config.catalog import all_settings
from bertexp.config.doors import check_hydra_word
from bertexp.config.store import group_options
from bertexp.config.words import belongs, read
from bertexp.errors import ConfigError, did_you_mean


def check_overrides(overrides: Sequence[str]) -> None:
    """Raises ``ConfigError`` for a word that is no setting, no group, no option of its group, or a door to code."""
    groups, settings = group_options(), all_settings()
    for word in map(read, overrides):
        key = word.key
        if belongs(key, ["hydra"]):
            check_hydra_word(word)
        elif key in groups:
            _check_options(key, word.listed, groups[key])
        elif key not in settings:
            raise ConfigError(f"{_unknown(key, groups)}; `python -m bertexp --cfg job` shows them all")


def explain(error: Exception) -> str:
    """One sentence for what Hydra or OmegaConf refused."""
    cause: BaseException = error
    # a value of a file is refused within an error of Hydra's that does not name it as its cause
    while not isinstance(cause, OmegaConfBaseException) and (inner := cause.__cause__ or cause.__context__):
        cause = inner
    key = getattr(cause, "full_key", None)
    first_line = str(cause).strip().splitlines()[0]
    setting = all_settings().get(key or "")
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and key:
        if setting is None:
            return f"{_unknown(key, ())}; a config file gives it"
        if setting.tasks:
            return f"{key} is a setting of task={' or '.join(setting.tasks)} and of no other task; leave it out"
    if setting:
        value = re.search(r"[Vv]alue '(.*?)'", first_line)
        shown = f"{key}={value[1]}" if value else key
        return f"{shown} is not {setting.type}"
    return first_line


def _unknown(key: str, groups: Iterable[str]) -> str:
    settings = all_settings()
    last = [name.split(".")[-1] for name in settings]
    hint = did_you_mean(key, [*groups, *settings]) or did_you_mean(key.rsplit(".", 1)[-1], last)
    return f"{key} is not a setting{hint}"


def _check_options(group: str, wanted: Sequence[str], options: dict[str, str]) -> None:
    for option in wanted:
        if option not in options:
            raise ConfigError(
                f"{group}={option} does not exist{did_you_mean(option, options)}; there are {', '.join(options) or 'none'}"
            )
