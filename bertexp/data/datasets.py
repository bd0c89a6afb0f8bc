"""Where each dataset lies: given by path, cached, or at an address. Answers in milliseconds; reading comes later."""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.places import existing_path, find_splits, find_tagged_splits, named_file
from bertexp.downloads import extract, fetch
from bertexp.errors import DataError, did_you_mean

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.dataset import TextDataset

_IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_IMDB_BYTES = 84_125_825
_GLUE_FOLDERS = {"mrpc": "MRPC", "sst2": "SST-2", "cola": "CoLA"}
_GLUE_URL = "https://dl.fbaipublicfiles.com/glue/data"
_MSR_URL = "https://dl.fbaipublicfiles.com/senteval/senteval_data"
_GLUE_FILES = ("train.tsv", "dev.tsv")
_MSR_FILES = ("msr_paraphrase_train.txt", "msr_paraphrase_test.txt")
_SQUAD_URL = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_SQUAD_VERSIONS = {"squad": ("v1.1", "v2.0"), "squad_v2": ("v2.0",), "xquad": ()}  # the first one is downloaded
_XQUAD_URL = "https://raw.githubusercontent.com/google-deepmind/xquad/master/xquad.en.json"
_WNUT17_URL = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master"
_WNUT17_FILES = {"train": "wnut17train.conll", "val": "emerging.dev.conll", "test": "emerging.test.annotated"}
_ONLY_FILES = ["train_file", "val_file", "test_file", "label_names"]
_TEXT_COLUMNS, _WORD_COLUMNS = ["text_column", "text_pair_column", "label_column"], ["words_column", "tags_column"]


@dataclass(frozen=True)
class DatasetSource:
    """A dataset that was found, and how to read it."""

    description: str
    urls: tuple[str, ...]  # to download before it can be read
    load: Callable[[], TextDataset]  # downloads what is missing, reads, splits, limits; raises DataError, NetworkError


def locate_dataset(config: DatasetConfig, cache_dir: str, task: str = "classification") -> DatasetSource:
    """Finds the dataset and checks what can be checked without reading it: paths, names, columns. No network.

    Args:
        cache_dir: downloads and prepared tables lie in its folder ``datasets``.
        task: what its labels are to be; files hold labels for any task, the other datasets for one.

    Raises:
        DataError: the name is unknown, a path or column is missing, or a setting does not belong to this dataset.
    """
    if config.name not in _LOCATE:
        raise DataError(
            f"dataset.name={config.name} is not one of {', '.join(_LOCATE)}{did_you_mean(config.name, _LOCATE)}"
        )
    foreign = _TEXT_COLUMNS if task == "tagging" else _WORD_COLUMNS
    if config.name not in ("files", "conll"):
        foreign = [*_ONLY_FILES, *_TEXT_COLUMNS, *_WORD_COLUMNS, *(["path", "url"] if config.name == "reviews" else [])]
    if config.name in _SQUAD_VERSIONS:
        foreign = [key for key in foreign if not key.endswith("_file")]
    defaults = {field.name: field.default for field in dataclasses.fields(DatasetConfig)}
    unused = [f"dataset.{key}" for key in foreign if getattr(config, key) != defaults[key]]
    if unused:
        if config.name in ("files", "conll"):
            raise DataError(f"task={task} does not use {', '.join(unused)}; leave it out")
        own = "dataset=conll" if task == "tagging" else "dataset=files"
        raise DataError(f"dataset={config.name} does not use {', '.join(unused)}; for data of your own: {own}")
    tasks = _TASKS.get(config.name, ("classification",))
    if task not in tasks:
        raise DataError(f"dataset={config.name} has labels for task={' or '.join(tasks)}, not for task={task}")
    return _LOCATE[config.name](config, task, Path(cache_dir) / "datasets" / config.name)


def _locate_reviews(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    description = "short film reviews, made by a grammar in the package"

    def load() -> TextDataset:
        from bertexp.data.reviews import LABEL_NAMES, make_reviews
        from bertexp.data.splits import make_dataset

        return make_dataset(config, make_reviews(), LABEL_NAMES, description)

    return DatasetSource(description, (), load)


def _locate_files(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    if config.url is not None:
        raise DataError("dataset=files reads files on disk and does not use dataset.url; give dataset.path")
    if task == "tagging":
        return _locate_conll(config, task, cache_dir)
    places = find_splits(config)

    def load() -> TextDataset:
        from bertexp.data.files import load_files

        return load_files(config, task, places)

    return DatasetSource(", ".join(f"{split} {path}" for split, (path, _) in places.items()), (), load)


def _locate_imdb(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    urls: tuple[str, ...] = ()
    if config.path is not None:
        path = existing_path("dataset.path", config.path)
        if path.is_dir():
            path = next((folder for folder in (path, path / "aclImdb") if (folder / "train" / "pos").is_dir()), path)
            missing = [
                name for name in ("train/neg", "train/pos", "test/neg", "test/pos") if not (path / name).is_dir()
            ]
            if missing:
                raise DataError(
                    f"dataset.path={config.path} has no folder {missing[0]}; give the folder aclImdb itself"
                )
        elif not tarfile.is_tarfile(path):
            raise DataError(
                f"dataset.path={config.path} is no tar archive; give aclImdb_v1.tar.gz or the folder aclImdb"
            )
    else:
        path = cache_dir / "aclImdb_v1.tar.gz"
        urls = () if path.exists() else (config.url or _IMDB_URL,)

    def load() -> TextDataset:
        from bertexp.data.imdb import load_imdb

        for url in urls:
            fetch(url, path, _IMDB_SHA256, _IMDB_BYTES)
        return load_imdb(config, path, cache_dir)

    return DatasetSource(f"IMDB film reviews (Maas et al. 2011), {urls[0] if urls else path}", urls, load)


def _locate_glue(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    name = _GLUE_FOLDERS[config.name]
    archive: Path | None = None
    downloads: dict[Path, str] = {}  # destination -> address
    if config.path is not None:
        folder = existing_path("dataset.path", config.path)
        if folder.is_file():
            status = folder.stat()
            archive, folder = folder, cache_dir / f"unpacked-{status.st_size}-{status.st_mtime_ns}"
        else:
            _glue_files(folder, config)  # raises where there are none
    elif config.name == "mrpc" and not (config.url or "").endswith(".zip"):  # GLUE has no MRPC archive of its own
        folder = cache_dir
        base = (config.url or _MSR_URL).rstrip("/")
        downloads = {folder / file: f"{base}/{file}" for file in _MSR_FILES}
    else:
        archive, folder = cache_dir / f"{name}.zip", cache_dir / "unpacked"
        downloads = {archive: config.url or f"{_GLUE_URL}/{name}.zip"}
    downloads = {path: url for path, url in downloads.items() if not path.exists()}

    def load() -> TextDataset:
        from bertexp.data.glue import load_glue

        for path, url in downloads.items():
            fetch(url, path)
        if archive is not None:
            extract(archive, folder)
        return load_glue(config, *_glue_files(folder, config))

    urls = tuple(downloads.values())
    return DatasetSource(f"GLUE {name}, {', '.join(urls) or archive or folder}", urls, load)


def _glue_files(folder: Path, config: DatasetConfig) -> tuple[Path, Path]:
    """Returns the training file and the labelled file to test on, in ``folder`` or in the task's folder there."""
    name = _GLUE_FOLDERS[config.name]
    for names in (_GLUE_FILES, _MSR_FILES) if config.name == "mrpc" else (_GLUE_FILES,):
        for candidate in (folder, folder / name):
            train_file, test_file = (candidate / file for file in names)
            if train_file.is_file() and test_file.is_file():
                return train_file, test_file
    raise DataError(f"{folder} holds no train.tsv and dev.tsv, nor a folder {name} with them; check dataset.path")


def _locate_squad(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    downloads: dict[Path, str] = {}  # destination -> address
    if config.path is not None or config.train_file is not None:
        root = existing_path("dataset.path", config.path) if config.path is not None else Path()
        named = {split: named_file(config, split, root) for split in ("train", "val", "test")}
        places = {split: path for split, path in named.items() if path is not None}
        if "train" not in places:
            places = ({"train": root} if root.is_file() else _squad_files(root, config)) | places
    elif config.name == "xquad":
        places = {"train": cache_dir / "xquad.en.json"}
        downloads = {places["train"]: config.url or _XQUAD_URL}
    else:
        base, version = (config.url or _SQUAD_URL).rstrip("/"), _SQUAD_VERSIONS[config.name][0]
        places = {split: cache_dir / f"{name}-{version}.json" for split, name in (("train", "train"), ("test", "dev"))}
        downloads = {path: f"{base}/{path.name}" for path in places.values()}
    downloads = {path: url for path, url in downloads.items() if not path.exists()}

    def load() -> TextDataset:
        from bertexp.data.squad import load_squad

        for path, url in downloads.items():
            fetch(url, path)
        return load_squad(config, places)

    shown = ", ".join(f"{split} {downloads.get(path, path)}" for split, path in places.items())
    return DatasetSource(f"questions and answers, {shown}", tuple(downloads.values()), load)


def _squad_files(folder: Path, config: DatasetConfig) -> dict[str, Path]:
    """The official files in ``folder``, dev being the test set, or its only json file."""
    for version in _SQUAD_VERSIONS[config.name]:
        train, dev = (folder / f"{name}-{version}.json" for name in ("train", "dev"))
        if train.is_file() and dev.is_file():
            return {"train": train, "test": dev}
    found = sorted(folder.glob("*.json"))
    if len(found) == 1:
        return {"train": found[0]}
    held = f"several json files ({', '.join(path.name for path in found[:5])})" if found else "no json file"
    versions = " or ".join(f"train-{version}.json with its dev file" for version in _SQUAD_VERSIONS[config.name])
    wanted = f" and not {versions}" if versions else ""
    raise DataError(f"{folder} holds {held}{wanted}; name the file with dataset.train_file")


def _locate_conll(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    if config.url is not None:
        raise DataError(f"dataset={config.name} reads files on disk and does not use dataset.url; give dataset.path")
    places = find_tagged_splits(config)

    def load() -> TextDataset:
        from bertexp.data.tagging import load_tagging

        return load_tagging(config, places)

    return DatasetSource(", ".join(f"{split} {path}" for split, path in places.items()), (), load)


def _locate_wnut17(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    folder = cache_dir if config.path is None else existing_path("dataset.path", config.path)
    places = {split: folder / file for split, file in _WNUT17_FILES.items()}
    missing = [path for path in places.values() if not path.is_file()]
    if missing and config.path is not None:
        raise DataError(
            f"dataset.path={config.path} has no {missing[0].name}; give the folder with WNUT 17's three files"
        )
    base = (config.url or _WNUT17_URL).rstrip("/")
    downloads = {path: f"{base}/{path.name}" for path in missing}

    def load() -> TextDataset:
        from bertexp.data.tagging import load_tagging

        for path, url in downloads.items():
            fetch(url, path)
        return load_tagging(config, places)

    urls = tuple(downloads.values())
    return DatasetSource(f"WNUT 2017 emerging entities, {', '.join(urls) or folder}", urls, load)


_TASKS = {  # the others: classification
    "files": ("classification", "multi_label", "regression", "tagging"),
    "wnut17": ("tagging",),
    "conll": ("tagging",),
    **dict.fromkeys(_SQUAD_VERSIONS, ("question_answering",)),
}
_LOCATE: dict[str, Callable[[DatasetConfig, str, Path], DatasetSource]] = {
    "reviews": _locate_reviews,
    "imdb": _locate_imdb,
    "mrpc": _locate_glue,
    "sst2": _locate_glue,
    "cola": _locate_glue,
    "squad": _locate_squad,
    "squad_v2": _locate_squad,
    "xquad": _locate_squad,
    "wnut17": _locate_wnut17,
    "conll": _locate_conll,
    "files": _locate_files,
}
