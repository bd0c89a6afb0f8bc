"""Where questions and answers in SQuAD's form lie."""

from __future__ import annotations

from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import addresses, find_files
from bertexp.data.find.source import DatasetSource, later
from bertexp.errors import DataError

_VERSIONS = {"squad": ("v1.1", "v2.0"), "squad_v2": ("v2.0",), "xquad": ()}  # the first one is downloaded
_URL = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_XQUAD_URL = "https://raw.githubusercontent.com/google-deepmind/xquad/master/xquad.en.json"


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    downloads: dict[Path, str] = {}  # destination -> address
    if config.path is not None or config.train_file is not None:
        paths = find_files(config, lambda folder: _squad_files(folder, config.name))
    elif config.name == "xquad":
        paths = {"train": cache_dir / "xquad.en.json"}
        downloads = {} if paths["train"].exists() else {paths["train"]: config.url or _XQUAD_URL}
    else:
        version = _VERSIONS[config.name][0]
        paths = {split: cache_dir / f"{name}-{version}.json" for split, name in (("train", "train"), ("test", "dev"))}
        downloads = addresses(paths.values(), config.url or _URL)
    shown = ", ".join(f"{split} {downloads.get(path, path)}" for split, path in paths.items())
    read = later("formats.squad.load_squad", config, task, paths)
    return DatasetSource(f"questions and answers, {shown}", read, downloads)


def _squad_files(folder: Path, name: str) -> dict[str, Path]:
    """The official files in ``folder``, dev being the test set, or its only json or jsonl file."""
    for version in _VERSIONS[name]:
        train, dev = (folder / f"{part}-{version}.json" for part in ("train", "dev"))
        if train.is_file() and dev.is_file():
            return {"train": train, "test": dev}
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".json", ".jsonl"))
    if len(found) == 1:
        return {"train": found[0]}
    held = f"several json files ({', '.join(path.name for path in found[:5])})" if found else "no json file"
    versions = " or ".join(f"train-{version}.json with its dev file" for version in _VERSIONS[name])
    wanted = f" and not {versions}" if versions else ""
    raise DataError(f"{folder} holds {held}{wanted}; name the file with dataset.train_file")
