"""The nine tasks of GLUE (Wang et al. 2019): files, columns, labels, addresses, and where they lie. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from bertexp.config.schema import DatasetConfig
from bertexp.data.find.paths import addresses, existing_path
from bertexp.data.find.source import DatasetSource, later
from bertexp.data.formats.spec import Columns
from bertexp.errors import DataError

GLUE_URL = "https://dl.fbaipublicfiles.com/glue/data"
MSR_URL = "https://dl.fbaipublicfiles.com/senteval/senteval_data"  # GLUE has no MRPC archive of its own
MSR_DEV_IDS = "mrpc_dev_ids.tsv"  # which of Microsoft's training rows are GLUE's dev set: a line "id<tab>id" each
MSR_FILES = {"train": "msr_paraphrase_train.txt", "test": "msr_paraphrase_test.txt"}


@dataclass(frozen=True)
class GlueTask:
    """What a task's files are called and hold."""

    folder: str  # in the archive
    columns: Columns  # of the labelled files
    label_names: tuple[str, ...] = ()  # in GLUE's order; none: the label is a number from 0 to 5
    archive: str = ""  # if it is not called as the folder
    in_words: bool = False  # whether GLUE's files spell labels as words, and not as 0 and 1
    labelled: Mapping[str, str] = field(default_factory=lambda: {"train": "train.tsv", "test": "dev.tsv"})
    unlabelled: Mapping[str, str] = field(default_factory=dict)  # name of the file to submit -> file; none: test.tsv

    def submissions(self) -> dict[str, str]:
        """Returns the name of each file to submit with the file whose rows it answers."""
        return dict(self.unlabelled or {self.folder: "test.tsv"})

    def spell(self, predicted: Iterable[float]) -> list[str]:
        """Returns class indices, or numbers, as the file to submit spells them."""
        if not self.label_names:
            return [f"{min(max(value, 0.0), 5.0):.3f}" for value in predicted]
        return [self.label_names[int(index)] if self.in_words else str(int(index)) for index in predicted]


_tsv = partial(Columns, format="tsv")  # Microsoft's files end in .txt
_COLA = ("source", "label", "star", "sentence")  # the columns of its labelled files, which have no header
_ENTAILMENT = ("entailment", "not_entailment")
GLUE = {
    "cola": GlueTask("CoLA", _tsv("sentence", header=_COLA), ("unacceptable", "acceptable")),
    "sst2": GlueTask("SST-2", _tsv("sentence"), ("negative", "positive")),
    "mrpc": GlueTask("MRPC", _tsv("#1 String", "#2 String", "Quality"), ("not_equivalent", "equivalent")),
    "qqp": GlueTask(
        "QQP", _tsv("question1", "question2", "is_duplicate"), ("not_duplicate", "duplicate"), "QQP-clean.zip"
    ),
    "stsb": GlueTask("STS-B", _tsv("sentence1", "sentence2", "score")),
    "mnli": GlueTask(
        "MNLI",
        _tsv("sentence1", "sentence2", "gold_label"),
        ("entailment", "neutral", "contradiction"),
        in_words=True,
        labelled={"train": "train.tsv", "test": "dev_matched.tsv", "test_mismatched": "dev_mismatched.tsv"},
        unlabelled={"MNLI-m": "test_matched.tsv", "MNLI-mm": "test_mismatched.tsv"},
    ),
    "qnli": GlueTask("QNLI", _tsv("question", "sentence"), _ENTAILMENT, "QNLIv2.zip", in_words=True),
    "rte": GlueTask("RTE", _tsv("sentence1", "sentence2"), _ENTAILMENT, in_words=True),
    "wnli": GlueTask("WNLI", _tsv("sentence1", "sentence2"), ("not_entailment", "entailment")),
}


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
        downloads = addresses((folder / file for file in MSR_FILES.values()), config.url or MSR_URL)
        downloads |= addresses([folder / MSR_DEV_IDS], config.url or GLUE_URL)
    else:
        archive, folder = cache_dir / (glue.archive or f"{glue.folder}.zip"), cache_dir / "unpacked"
        downloads = {} if archive.exists() else {archive: config.url or f"{GLUE_URL}/{archive.name}"}
    description = f"GLUE {glue.folder}, {', '.join(downloads.values()) or archive or folder}"
    read = later("sets.glue.load.load_glue", config, task, archive, folder)
    unlabelled = later("sets.glue.load.load_unlabelled", name, task, folder) if config.submission else None
    return DatasetSource(description, read, downloads, load_unlabelled=unlabelled)


def find_labelled(name: str, folder: Path) -> dict[str, Path]:
    """Returns the labelled file of each split, in ``folder`` or in the task's folder there.

    Raises:
        DataError: they are not all there.
    """
    task = GLUE[name]
    paths = _find(name, folder, task.labelled, MSR_FILES)
    if not paths:
        names = " and ".join(task.labelled.values())
        raise DataError(f"{folder} holds no {names}, nor a folder {task.folder} with them; check dataset.path")
    return paths


def find_unlabelled(name: str, folder: Path) -> dict[str, Path]:
    """Returns GLUE's test file, without labels, for each file to submit; of MRPC, Microsoft's has the same rows.

    Raises:
        DataError: one is not there.
    """
    files = GLUE[name].submissions()
    paths = _find(name, folder, files, dict.fromkeys(files, MSR_FILES["test"]))
    if not paths:
        raise DataError(
            f"{folder} holds no {' and '.join(files.values())}, whose rows dataset.submission=true predicts; put it there, "
            "or set dataset.submission=false"
        )
    return paths


def _find(name: str, folder: Path, files: Mapping[str, str], of_mrpc: Mapping[str, str]) -> dict[str, Path]:
    """The paths of ``files``, or of MRPC of those that it has otherwise, if all lie together; else none."""
    for names, parent in product([files, of_mrpc] if name == "mrpc" else [files], [folder, folder / GLUE[name].folder]):
        paths = {key: parent / file for key, file in names.items()}
        if all(path.is_file() for path in paths.values()):
            return paths
    return {}
