"""The pages that ``python -m bertexp --help`` and ``--help GROUP`` show, and docs/settings.md; all made from what is registered."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

from bertexp.commands import COMMANDS
from bertexp.config.catalog import all_settings, groups
from bertexp.config.store import group_options
from bertexp.errors import ConfigError, did_you_mean
from bertexp.system.console import aligned

_HEAD = """\
bertexp fine-tunes, evaluates, tracks and ships BERT text models.

  python -m bertexp [group=option ...] [setting=value ...]     train, test, export, verify, track
  python -m bertexp -m sweep=lr_warmup [...]                   a sweep: pruned, resumable, any number of workers
"""

_TAIL = """
Settings (setting=value): --help GROUP explains those of a group, --cfg job shows all of them with their values.
  run.dry=true shows the plan of a run.
  dataset.path=FOLDER  dataset.limit_train=N  dataset.max_length=128  model.source=tfhub|google|huggingface|random
  model.path=FOLDER_OR_HANDLE  optimizer.learning_rate=3e-5  optimizer.warmup_fraction=0.1  trainer.max_epochs=5
  trainer.batch_size=32  trainer.resume=last  run.seed=42  tracking.uri=ADDRESS

Hydra's own flags: --cfg job, --multirun/-m (a sweep), --info, --shell-completion, --config-dir.
  Tab completion, of the command bertexp that the package installs: eval "$(bertexp -sc install=bash)"
Examples:
  python -m bertexp
  python -m bertexp model=small_bert_l4 dataset=imdb
  python -m bertexp -m model=small_bert_l2,small_bert_l4 optimizer.learning_rate=3e-5,1e-4 dataset=imdb
  python -m bertexp model=minilm_l6 dataset=mrpc model.path=weights/minilm dataset.path=glue/MRPC"""

_COLUMNS = ("setting", "type", "default", "meaning")


def help_text() -> str:
    """The commands, and the groups with their options and the sentence of each."""
    lines = [f"  {f'python -m bertexp {c.name} {c.words}':<61}{c.sentence}".rstrip() for c in COMMANDS.values()]
    lines += ["", "Groups (group=option):"]
    for group, options in group_options().items():
        lines += [f"  {group}", *_describe_options(options, "    ")]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def help_of(group: str) -> str:
    """The options and the settings of one group.

    Raises:
        ConfigError: there is no such group.
    """
    options, described = group_options(), groups()
    if group not in (known := dict.fromkeys([*options, *described])):
        raise ConfigError(
            f"{group} is not a group of settings{did_you_mean(group, known)}; there are {', '.join(known)}"
        )
    lines = [f"{group}: {_first_line(described[group])}" if group in described else f"{group}: one of its options"]
    if group in options:
        lines += ["", f"options ({group}=...)", *_describe_options(options[group], "  ")]
    if group in described:
        lines += ["", *_table(_rows_of(group))]
    return "\n".join(lines)


def settings_page() -> str:
    """The text of docs/settings.md: a table a group."""
    lines = [
        "# Settings",
        "",
        "Made by `python scripts/make_settings_page.py` from the schema; `--help GROUP` prints the same.",
    ]
    for group, settings in groups().items():
        lines += ["", f"## {group}", "", _first_line(settings), "", f"| {' | '.join(_COLUMNS)} |", "|---|---|---|---|"]
        for name, kind, default, meaning in _rows_of(group):
            escaped = meaning.replace("|", "\\|").replace("<", "&lt;")
            lines.append(f"| `{name}` | {kind} | {default and f'`{default}`'} | {escaped} |")
    return "\n".join(lines) + "\n"


def _rows_of(group: str) -> list[tuple[str, str, str, str]]:
    found = [setting for name, setting in all_settings().items() if name.startswith(f"{group}.")]
    return [(setting.name, setting.type, setting.written_default, setting.meaning) for setting in found]


def _table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    """Rows under a head, the last column wrapped to the width of the terminal."""
    cells = [_COLUMNS, *rows]
    heads = aligned([row[:3] for row in cells])
    left = max(map(len, heads)) + 2
    for head, (*_, meaning) in zip(heads, cells, strict=True):
        lines = textwrap.wrap(meaning, max(shutil.get_terminal_size((120, 24)).columns - left, 40))
        yield from (f"{text:<{left}}{line}" for text, line in zip([head, *[""] * len(lines)], lines, strict=False))


def _describe_options(options: dict[str, str], indent: str) -> list[str]:
    return [f"{indent}{line}" for line in aligned(list(options.items()))]


def _first_line(settings: type) -> str:
    return (settings.__doc__ or "").splitlines()[0]
