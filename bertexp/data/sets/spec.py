"""The data sets there are, and which settings each reads. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace

_SPLIT_FILES = ("train_file", "val_file", "test_file")
TEXT_SETTINGS = ("text_column", "text_pair_column", "label_column", "label_cleanup", "separator", "header", "encoding")
WORD_SETTINGS = ("words_column", "tags_column")


@dataclass(frozen=True)
class DataSet:
    """A data set by its name.

    Its module has ``locate(config, task, cache_dir) -> DatasetSource``, which finds where its rows lie and checks what can be
    checked without reading them; what reads them, and pyarrow with it, is imported ``later``.
    """

    module: str  # in this folder
    uses: tuple[str, ...] = ("path", "url")  # of the settings in SOURCE_SETTINGS
    labels: tuple[str, ...] = ("class",)  # what its rows can have, in the words of `TaskSpec.label_form`
    is_own: bool = False  # whether it is a user's own data, at hand and of any content
    some_unanswerable: bool = False  # whether some of its questions have no answer


SOURCE_SETTINGS = ("path", "url", *_SPLIT_FILES, "label_names", *TEXT_SETTINGS, *WORD_SETTINGS, "submission")
_GLUE = DataSet("glue.locate", ("path", "url", "submission"))
_SQUAD = DataSet("squad", ("path", "url", *_SPLIT_FILES), ("answers",))
_TAGS = ("tags",)
SETS = {  # dataset.name, in the order in which messages list them
    "reviews": DataSet("reviews", ()),
    "imdb": DataSet("imdb.locate"),
    "banking77": DataSet("banking77"),
    **dict.fromkeys(("cola", "sst2", "mrpc", "qqp"), _GLUE),
    "stsb": replace(_GLUE, labels=("number",)),
    **dict.fromkeys(("mnli", "qnli", "rte", "wnli"), _GLUE),
    "wnut17": DataSet("wnut17", labels=_TAGS),
    "conll": DataSet("files", ("path", *_SPLIT_FILES, "label_names", *WORD_SETTINGS), _TAGS, is_own=True),
    "squad": _SQUAD,
    "squad_v2": replace(_SQUAD, some_unanswerable=True),
    "xquad": _SQUAD,
    "files": DataSet(
        "files",
        ("path", *_SPLIT_FILES, "label_names", *TEXT_SETTINGS, *WORD_SETTINGS),
        ("class", "classes", "number", *_TAGS),
        is_own=True,
    ),
    "tfrecord": DataSet("tfrecord", ("path", *_SPLIT_FILES, "label_names"), ("class", "classes", "number")),
}
