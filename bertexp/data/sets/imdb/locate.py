"""Where the IMDB reviews lie: an archive or a folder."""

from __future__ import annotations

import tarfile
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path
from bertexp.data.find.source import DatasetSource, later
from bertexp.errors import DataError

_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_BYTES = 84_125_825


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    downloads: dict[Path, str] = {}
    if config.path is not None:
        path = existing_path("dataset.path", config.path)
        if path.is_dir():
            path = next((folder for folder in (path, path / "aclImdb") if (folder / "train" / "pos").is_dir()), path)
            folders = ("train/neg", "train/pos", "test/neg", "test/pos")
            missing = [name for name in folders if not (path / name).is_dir()]
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
        downloads = {} if path.exists() else {path: config.url or _URL}

    description = f"IMDB film reviews (Maas et al. 2011), {downloads.get(path, path)}"
    read = later("sets.imdb.load.load_imdb", config, task, path, cache_dir)
    return DatasetSource(description, read, downloads, (_SHA256, _BYTES))
