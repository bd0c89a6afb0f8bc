"""Where GLUE's tasks lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import existing_path
from bertexp.data.find.source import DatasetSource
from bertexp.data.sets.glue.tasks import (
    GLUE,
    GLUE_URL,
    MSR_DEV_IDS,
    MSR_FILES,
    MSR_URL,
    find_labelled,
    find_unlabelled,
)
from bertexp.system.archives import extract

if TYPE_CHECKING:  # pyarrow loads when rows are read
    from bertexp.data.table import TextDataset


def locate(config: DatasetConfig, task: str, cache_dir: Path) -> DatasetSource:
    """Finds it; see ``DataSet``."""
    name, glue = config.name, GLUE[config.name]
    archive: Path | None = None
    downloads: dict[Path, str] = {}  # destination -> address
    if config.path is not None:
        folder = existing_path("dataset.path", config.path)
        if folder.is_file():
            status = folder.stat()
            archive, folder = folder, cache_dir / f"unpacked-{status.st_size}-{status.st_mtime_ns}"
        else:
            find_labelled(name, folder)  # raises where there are none
            if config.submission:
                find_unlabelled(name, folder)
    elif name == "mrpc" and not (config.url or "").endswith(".zip"):
        folder = cache_dir
        downloads = {folder / file: f"{(config.url or MSR_URL).rstrip('/')}/{file}" for file in MSR_FILES.values()}
        downloads[folder / MSR_DEV_IDS] = f"{(config.url or GLUE_URL).rstrip('/')}/{MSR_DEV_IDS}"
    else:
        archive, folder = cache_dir / glue.archive, cache_dir / "unpacked"
        downloads = {archive: config.url or f"{GLUE_URL}/{glue.archive}"}
    downloads = {path: url for path, url in downloads.items() if not path.exists()}

    def read() -> TextDataset:
        from bertexp.data.sets.glue.load import divide_msr, load_glue

        if archive is not None:
            extract(archive, folder)
        if config.path is None:
            divide_msr(folder)
        return load_glue(config, task, find_labelled(name, folder))

    def load_unlabelled() -> TextDataset:
        from bertexp.data.sets.glue.load import load_unlabelled

        return load_unlabelled(name, task, find_unlabelled(name, folder))

    description = f"GLUE {glue.folder}, {', '.join(downloads.values()) or archive or folder}"
    unlabelled = load_unlabelled if config.submission else None
    return DatasetSource(description, read, downloads, load_unlabelled=unlabelled)
