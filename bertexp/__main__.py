"""The door: ``python -m bertexp``. Light by rule; whatever needs TensorFlow is imported behind it."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from bertexp.config.help import help_text
from bertexp.config.overrides import check_overrides, expand_home, explain
from bertexp.config.resolve import resolve
from bertexp.config.store import register, shipped_folder
from bertexp.errors import BertexpError, ConfigError
from bertexp.runs.folder import with_former_overrides

COMMANDS = {
    "encode": "bertexp.commands.encode",
    "compare": "bertexp.commands.compare",
    "predict": "bertexp.commands.predict",
    "ui": "bertexp.commands.ui",
    "doctor": "bertexp.commands.doctor",
}


_failures: list[BaseException] = []  # carried past Hydra, which would print its own line about each


@hydra.main(config_path=str(shipped_folder("conf")), config_name="config", version_base="1.3")
def train(composed: DictConfig) -> BaseException | None:
    """One run, or one worker of a sweep; returns what went wrong, since Hydra would print a line of its own about it."""
    hydra_config = HydraConfig.get()
    folder, words = Path(hydra_config.runtime.output_dir), list(hydra_config.overrides.task)
    try:
        config = resolve(composed)
        if hydra_config.mode == RunMode.MULTIRUN:
            from bertexp.sweeps.job import work

            work(config, words, folder)
        else:
            _refuse_sweep(words)
            from bertexp.runs.runner import execute

            execute(config, folder, words)
    except BaseException as error:
        _failures.append(error)
        return error
    finally:
        _remove_if_empty(folder)
    return None


def _refuse_sweep(words: list[str]) -> None:
    swept = next((word for word in words if word.startswith(("sweep=", "sweep.")) and not word.endswith("=null")), None)
    if swept is not None:
        raise ConfigError(f"{swept} asks for a sweep, which runs with -m: python -m bertexp -m {' '.join(words)}")


def main() -> None:
    """Runs a command line; ends the process with 0, 2 (the user's mistake), 1 (ours) or 128 + signal."""
    words = sys.argv[1:] = expand_home(sys.argv[1:])
    try:
        if words and words[0] in COMMANDS:
            sys.exit(importlib.import_module(COMMANDS[words[0]]).main(words[1:]))
        if "--help" in words or "-h" in words:
            print(help_text())
            return
        if not any(word.startswith("-") and word not in ("-m", "--multirun") for word in words):
            check_overrides([word for word in words if not word.startswith("-")])
            sys.argv[1:] = with_former_overrides(words)
        register()
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to this door instead of ending in Hydra's
        train()
        if _failures:
            raise _failures[0]
    except BertexpError as error:
        _leave(str(error), error.exit_status)
    except (HydraException, OmegaConfBaseException) as error:
        _leave(explain(error), 2)
    except KeyboardInterrupt:
        _leave("stopped", 130)
    except BrokenPipeError:
        _leave_unless_heard()
        raise


def _remove_if_empty(folder: Path) -> None:
    """Hydra makes the run folder before anything is checked; a run that wrote nothing leaves nothing."""
    made = [folder, folder.parent, folder.parent.parent] if folder.parent.name == "runs" else [folder]
    with contextlib.suppress(OSError):  # not empty
        for path in made:
            path.rmdir()


def _leave_unless_heard() -> None:
    """Ends the process as SIGPIPE would where nobody reads its output any more, as in ``bertexp --help | head``."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in reader.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed once more at exit
        sys.exit(128 + signal.SIGPIPE)


def _leave(sentence: str, status: int) -> None:
    print(f"bertexp: {sentence}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
