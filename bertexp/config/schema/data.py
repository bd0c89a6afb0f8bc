"""The settings of what is learnt: the data and the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from bertexp.config.checks import Settings, setting
from bertexp.errors import ConfigError, did_you_mean
from bertexp.interfaces import LONG_TEXTS

if TYPE_CHECKING:
    from bertexp.tasks.spec import TaskSpec


@dataclass
class DatasetConfig(Settings, group="dataset"):
    """Which texts and labels, how they are split and how much of them is used."""

    name: str = setting("reviews", "the data set; dataset=<name> chooses it with what it needs")
    path: str | None = setting(None, "a folder, an archive or a file on disk; null: embedded or downloaded")
    url: str | None = setting(None, "the address to download from, such as a mirror; null: the official one")
    train_file: str | None = setting(None, "of files, squad, tfrecord: a name in dataset.path, or another path")
    val_file: str | None = setting(None, "the same for the rows that validate")
    test_file: str | None = setting(None, "the same for the rows that test")
    text_column: str = setting("text", "the column of the texts")
    text_pair_column: str | None = setting(None, "the column of second texts; null: there are none")
    label_column: str = setting("label", "the column of the labels")
    separator: str | None = setting(
        None, "between the cells of a csv or tsv file, one character; null: comma or tab, or what a csv's header shows"
    )
    header: list[str] | None = setting(None, "names of all columns of csv and tsv files without a header line")
    encoding: str | None = setting(
        None, "of files of text, such as cp1252; null: UTF-8, or UTF-16 and 32 where a byte-order mark says so"
    )
    words_column: str | None = setting(
        None,
        "of tagged words: their column (null: words or tokens); in CoNLL files a number from 0 (null: 0, of CoNLL-U 1)",
    )
    tags_column: str | None = setting(
        None,
        "of tagged words: their tags' column (null: tags or ner_tags); in CoNLL files a number (null: the last, of CoNLL-U 3)",
    )
    label_names: list[str] | None = setting(None, "order of the classes; null: sorted, as found in the training split")
    val_fraction: float = setting(0.2, "held out of the training rows if no split validates", minimum=0, below=1)
    test_fraction: float = setting(0.2, "of files and squad: held out if there is no test file", minimum=0, below=1)
    split_seed: int = setting(42, "of the rows that are held out, and of those that a limit draws")
    stratify: bool = setting(True, "hold out and draw rows so that the classes keep their shares")
    limit_train: int | None = setting(None, "at most so many to train on, drawn with split_seed", unit="rows", above=0)
    limit_val: int | None = setting(None, "the same for validation", unit="rows", above=0)
    limit_test: int | None = setting(None, "the same for the test", unit="rows", above=0)
    label_cleanup: str = setting(
        "none",
        "which names are one class: those that differ by white space and invisible characters alone, or by case, too",
        choices=("none", "strip", "casefold"),
    )
    label_separator: str = setting(",", "of sets of classes: one character between them in a cell of a csv or tsv file")
    max_length: int = setting(128, "of a row, [CLS] and [SEP] included", unit="word pieces", minimum=8, maximum=512)
    long_text: str = setting(
        "truncate_head",
        "what is kept of a longer text: its head, its tail, both (a quarter, the rest), or all of it in windows",
        choices=LONG_TEXTS,
    )
    window_overlap: int | None = setting(
        None,
        "shared by neighbouring windows, at most half of max_length; null: a quarter",
        unit="word pieces",
        minimum=0,
    )
    group_by_length: bool = setting(True, "batches of texts of similar length; false: uniform shuffling")
    on_bad_row: str = setting("error", "what a row without its text or label means", choices=("error", "skip"))
    submission: bool = setting(False, "GLUE: predict its unlabelled test too, and write the file to submit")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.overlap > (half := self.max_length // 2):
            raise ConfigError(
                f"dataset.window_overlap={self.window_overlap} must lie in 0 .. {half}, half of dataset.max_length"
            )
        if self.separator is not None and (
            len(self.separator) != 1 or self.separator in '"\r\n' or self.separator > "~"
        ):
            raise ConfigError(
                f"dataset.separator={self.separator!r} must be one ASCII character, and no quote or line break"
            )
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ConfigError(
                    f"dataset.encoding={self.encoding} is no encoding that Python knows ({error})"
                ) from error
        if len(self.label_separator) != 1:
            raise ConfigError(f"dataset.label_separator={self.label_separator!r} must be one character")
        if self.val_fraction + self.test_fraction >= 1:
            held_out = f"dataset.val_fraction={self.val_fraction} and dataset.test_fraction={self.test_fraction}"
            raise ConfigError(f"{held_out} leave no rows to train on")

    @property
    def overlap(self) -> int:
        """Pieces that neighbouring windows share."""
        return self.max_length // 4 if self.window_overlap is None else self.window_overlap


@dataclass
class TaskConfig(Settings, group="task"):
    """What is predicted from a text."""

    name: str = setting(MISSING, "chosen with task=<name>")
    main_metric: str | None = setting(None, "chooses the checkpoint, unless trainer.monitor does; null: the task's own")

    def __post_init__(self) -> None:
        super().__post_init__()
        own = type(self).name
        if self.name != own:
            raise ConfigError(
                f"task.name={self.name} does not go with the settings of task={own}; write task={self.name}"
            )
        if self.main_metric is None:
            return
        from bertexp.tasks.registry import all_tasks

        given, metrics = f"task.main_metric={self.main_metric}", self.spec.metrics
        others = [task.name for task in all_tasks() if self.main_metric in task.metrics]
        if others and self.name not in others:
            raise ConfigError(
                f"{given}, which may be the data set's own, is measured by task={' or '.join(others)} and not by "
                f"task={self.name}: leave task={self.name} out, or give task.main_metric={metrics[0]} with it"
            )
        if not others:
            hint = did_you_mean(self.main_metric, metrics)
            raise ConfigError(f"{given} is not one of {', '.join(metrics)}{hint}")

    @property
    def spec(self) -> TaskSpec:
        """All else that is to be known of the task."""
        from bertexp.tasks.registry import find_task

        return find_task(self.name)
