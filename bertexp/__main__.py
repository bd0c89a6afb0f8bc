"""The door: ``python -m bertexp``. Light by rule; whatever needs TensorFlow is imported behind it."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from bertexp.commands import COMMANDS, refuse
from bertexp.config.catalog import check_overrides, explain
from bertexp.config.resolve import compose_config, resolve
from bertexp.config.store import register, register_folder, run_line, shipped_folder
from bertexp.config.words import belongs, part_flags, read, split_overrides
from bertexp.errors import BertexpError, ConfigError
from bertexp.runs.folder import with_former_overrides
from bertexp.system.credentials import hide

_NOT_OF_SETTINGS = {"--shell-completion", "--hydra-help", "--version"}  # the other words of these are no settings
_HYDRAS = {"--multirun", "--cfg", "--info", *_NOT_OF_SETTINGS}


@hydra.main(config_path=str(shipped_folder("conf")), config_name="config", version_base="1.3")
def work_on_sweep(composed: DictConfig) -> BaseException | None:
    """One worker of a sweep; returns what went wrong, since Hydra would print a line of its own about it."""
    hydra_config = HydraConfig.get()
    folder, words = Path(hydra_config.runtime.output_dir), list(hydra_config.overrides.task)
    try:
        from bertexp.sweeps.work.job import work

        work(resolve(composed), words, folder)
    except BaseException as error:
        return error
    finally:
        with contextlib.suppress(OSError):  # something was written; Hydra makes the folder before anything is checked
            folder.rmdir()
    return None


def main() -> None:
    """Runs a command line; ends the process with 0, 2 (the user's mistake), 1 (ours) or 128 + signal."""
    words = sys.argv[1:]
    sys.excepthook = show_traceback
    try:
        if words and words[0] in COMMANDS:
            sys.exit(COMMANDS[words[0]](words[1:]))
        _run(words)
    except BertexpError as error:
        _leave(str(error), error.exit_status)
    except (HydraException, OmegaConfBaseException) as error:
        _leave(explain(error), 2)
    except KeyboardInterrupt:
        _leave("stopped", 130)
    except BrokenPipeError:
        _leave_unless_heard()
        raise


def _run(words: Sequence[str]) -> None:
    """A run, a sweep, or one of Hydra's pages; the words are checked first, whatever flags are among them."""
    flags, settings = part_flags(words)
    if "--help" in flags:
        from bertexp.commands.help import help_of, help_text

        bare = [word for word in settings if "=" not in word]  # --help with a run's words is the whole page
        print("\n\n".join(map(help_of, bare)) or help_text())
        return
    if folder := flags.pop("--config-dir", None):
        register_folder(Path(folder))
    if settings and not settings[0].startswith("~") and "=" not in settings[0]:
        raise refuse(settings[0])
    if not flags.keys() & _HYDRAS:
        for word in map(read, settings):
            if belongs(word.key, ["sweep"]) and word.value is not None:
                raise ConfigError(f"{word.text} asks for a sweep, which runs with -m: {run_line('-m', *settings)}")
        from bertexp.runs.runner import run

        run(settings, owns_process=True)
        return
    if not flags.keys() & _NOT_OF_SETTINGS:
        settings = with_former_overrides(settings)
        check_overrides(settings)
    register(settings if "--cfg" in flags else None)
    if "--multirun" in flags:  # Hydra acts on what it has composed, so it must have been looked at before
        compose_config(split_overrides(settings)[0])
    sys.argv[1:] = [*(word for flag in flags.items() for word in flag if word), *(read(word).text for word in settings)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to this door instead of ending in Hydra's
    if "--multirun" in flags:
        work_on_sweep()
        return
    try:
        with contextlib.redirect_stdout(io.StringIO()) as page:
            work_on_sweep()
    finally:  # some pages end the process
        print(hide(page.getvalue()), end="")


def _leave_unless_heard() -> None:
    """Ends the process as SIGPIPE would where nobody reads its output any more, as in ``bertexp --help | head``."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in reader.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed once more at exit
        sys.exit(128 + signal.SIGPIPE)


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python prints of an error that nobody caught, without the secrets of addresses."""
    sys.stderr.write(hide("".join(traceback.format_exception(kind, error, trace))))


def _leave(sentence: str, status: int) -> None:
    print(f"bertexp: {hide(sentence)}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
