"""Where questions and answers in SQuAD's form lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path, named_file
from bertexp.data.find.source import DatasetSource
from bertexp.errors import DataError

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset

_VERSIONS = {"squad": ("v1.1", "v2.0"), "squad_v2": ("v2.0",), "xquad": ()}  # the first one is downloaded
_URL = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_XQUAD_URL = "https://raw.githubusercontent.com/google-deepmind/xquad/master/xquad.en.json"


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    downloads: dict[Path, str] = {}  # destination -> address
    if config.path is not None or config.train_file is not None:
        root = existing_path("dataset.path", config.path) if config.path is not None else Path()
        named = {split: named_file(config, split, root) for split in ("train", "val", "test")}
        paths = {split: path for split, path in named.items() if path is not None}
        if "train" not in paths:
            paths = ({"train": root} if root.is_file() else _squad_files(root, config)) | paths
    elif config.name == "xquad":
        paths = {"train": cache_dir / "xquad.en.json"}
        downloads = {paths["train"]: config.url or _XQUAD_URL}
    else:
        base, version = (config.url or _URL).rstrip("/"), _VERSIONS[config.name][0]
        paths = {split: cache_dir / f"{name}-{version}.json" for split, name in (("train", "train"), ("test", "dev"))}
        downloads = {path: f"{base}/{path.name}" for path in paths.values()}
    downloads = {path: url for path, url in downloads.items() if not path.exists()}

    def read() -> TextDataset:
        from bertexp.data.formats.squad import load_squad

        return load_squad(config, task, paths)

    shown = ", ".join(f"{split} {downloads.get(path, path)}" for split, path in paths.items())
    return DatasetSource(f"questions and answers, {shown}", read, downloads)


def _squad_files(folder: Path, config: DatasetConfig) -> dict[str, Path]:
    """The official files in ``folder``, dev being the test set, or its only json file."""
    for version in _VERSIONS[config.name]:
        train, dev = (folder / f"{name}-{version}.json" for name in ("train", "dev"))
        if train.is_file() and dev.is_file():
            return {"train": train, "test": dev}
    found = sorted(folder.glob("*.json"))
    if len(found) == 1:
        return {"train": found[0]}
    held = f"several json files ({', '.join(path.name for path in found[:5])})" if found else "no json file"
    versions = " or ".join(f"train-{version}.json with its dev file" for version in _VERSIONS[config.name])
    wanted = f" and not {versions}" if versions else ""
    raise DataError(f"{folder} holds {held}{wanted}; name the file with dataset.train_file")
