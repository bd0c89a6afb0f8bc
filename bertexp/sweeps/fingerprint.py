"""What a sweep's words mean: its settings as they resolve, and its data; kept in its study and in its folder. Light."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from bertexp.config.resolve import flat_parameters
from bertexp.config.schema import Config
from bertexp.config.words import belongs, write
from bertexp.runs.plan import Plan
from bertexp.sweeps.spec import NOT_OF_TRIALS, SweepSpec
from bertexp.system.credentials import hide
from bertexp.system.files import read_numbered, write_text

FORMAT = 1  # of sweep.json


def with_fingerprint(spec: SweepSpec, probes: Sequence[tuple[Config, Plan]]) -> SweepSpec:
    """``spec`` with the settings that its trials have besides the swept ones, and the fingerprints of their data.

    Args:
        probes: configs and plans of trials that hold every choice and every bound once; their data are read.

    Raises:
        BertexpError: the data cannot be had, or are not what they should be.
    """
    settings: dict[
        str, dict[str, None]
    ] = {}  # several texts where a setting follows from a swept one, as the name from the model
    data: dict[str, str] = {}
    for config, plan in probes:
        for name, value in flat_parameters(config).items():
            text = hide(write(name, value)).removeprefix(f"{name}=")
            if not belongs(name, NOT_OF_TRIALS) and name not in spec.space.names:
                settings.setdefault(name, {})[text] = None
        read = repr((config.dataset, config.task, config.run.rehearsal))
        if read not in data:
            data[read] = plan.dataset.load().fingerprint
    texts = {name: ", ".join(values) for name, values in settings.items()}
    return dataclasses.replace(spec, settings=texts, data=tuple(data.values()))


def require_same_folder(spec: SweepSpec, folder: Path) -> None:
    """Raises ``ConfigError`` where ``folder`` was another sweep's, even if its study is gone: its trials would be taken for these."""
    path = folder / "sweep.json"
    if path.exists():
        content = read_numbered(path, FORMAT)
        del content["format"]
        spec.require_same(SweepSpec.from_dict(content))


def keep_in_folder(spec: SweepSpec, folder: Path) -> None:
    """Writes ``sweep.json``, where there is none."""
    path = folder / "sweep.json"
    if not path.exists():
        content = dataclasses.asdict(spec) | {"format": FORMAT}
        write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
