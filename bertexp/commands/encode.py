"""``python -m bertexp encode``: a data set as shards of word pieces, made once, trained from many times."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import bertexp
from bertexp.commands import CommandParser, positive
from bertexp.config.resolve import compose_config, words_of_model
from bertexp.config.schema import Config
from bertexp.config.store import run_line
from bertexp.config.words import write
from bertexp.data.encoded.encoding import (
    FORMATS,
    SHEET,
    VOCABULARY,
    Encoding,
    cut_into_shards,
    fingerprint_of,
    read_encoding,
)
from bertexp.data.sets.spec import SETS
from bertexp.errors import ConfigError, DataError
from bertexp.models.source.locate import read_vocabulary
from bertexp.runs.plan import Plan, make_plan
from bertexp.system.console import Progress, labelled, say
from bertexp.system.files import locked, write_text
from bertexp.system.machine import available_cores
from bertexp.tasks.registry import all_tasks

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset

EXAMPLES = """\
  python -m bertexp encode dataset=imdb model=small_bert_l4 --out encoded/imdb
  python -m bertexp encode dataset=files dataset.path=reviews.csv --out encoded/reviews --format arrow --shards 64
  python -m bertexp dataset=tfrecord dataset.path=encoded/imdb model=small_bert_l4

Rows have a fixed length and Model Garden's features: input_ids, input_mask, segment_ids and label_ids. Started again, the
command goes on where it was stopped. The settings are those of a run and say which data, which vocabulary and how long."""


def main(words: Sequence[str]) -> int:
    """Encodes a data set; returns 0.

    Raises:
        BertexpError: a word is wrong, data or vocabulary cannot be read, or the folder holds something else.
    """
    parser = _parser()
    if not words:
        parser.print_help()
        return 0
    options = parser.read(words)
    out = Path(options.out).expanduser()
    config, _ = compose_config(options.settings)
    _check(config, out)
    plan = make_plan(config)
    say(labelled("reads", plan.dataset.description))
    dataset = plan.dataset.load()
    for note in dataset.notes:
        say(labelled("note", note))
    plan = plan.fetch(config)
    vocab, lowercase, strip_accents = read_vocabulary(plan.model) or _load_vocabulary(plan, config)
    rows = {split: table.num_rows for split, table in dataset.splits.items()}
    encoding = Encoding(
        format=options.format,
        task=dataset.task,
        label_names=dataset.label_names,
        has_pair=dataset.has_pair,
        max_length=config.dataset.max_length,
        long_text=config.dataset.long_text,
        vocabulary=fingerprint_of(vocab),
        lowercase=lowercase,
        data=dataset.fingerprint,
        name=dataset.name,
        source=dataset.source,
        shards=cut_into_shards(rows, options.shards),
        versions={"bertexp": bertexp.__version__, "tensorflow-text": metadata.version("tensorflow-text")},
        strip_accents=strip_accents or not lowercase,
    )
    busy = DataError(f"another process is encoding into {out}; wait for it, or name another folder")
    with locked(out / ".lock", fail=busy):
        _claim(out, encoding)
        write_text(out / VOCABULARY, "".join(f"{piece}\n" for piece in vocab))
        made = _write(dataset, vocab, config, encoding, out, options.workers)
    _say_farewell(encoding, out, made, config)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser("encode", examples=EXAMPLES)
    files = "where FOLDER/<split>-00000-of-00016.tfrecord, encoded.json and vocab.txt will lie"
    parser.add_argument("--out", required=True, metavar="FOLDER", help=files)
    parser.add_argument(
        "--format", default=FORMATS[0], choices=FORMATS, help="tf.train.Example or Arrow (default: tfrecord)"
    )
    parser.add_argument(
        "--shards", type=positive, default=16, metavar="N", help="files of the largest split (default: 16)"
    )
    cores = available_cores()
    parser.add_argument(
        "--workers", type=positive, default=cores, metavar="N", help="shards at a time (default: the cores)"
    )
    return parser


def _check(config: Config, out: Path) -> None:
    """What can be said before any data are read."""
    forms = SETS["tfrecord"].labels
    if config.task.spec.label_form not in forms:
        known = ", ".join(task.name for task in all_tasks() if task.label_form in forms)
        raise ConfigError(
            f"task={config.task.name} has no features in these files; encode knows {known}, and a run keeps the word "
            "pieces of any task under outputs/cache"
        )
    if config.dataset.long_text == "windows":
        raise ConfigError(
            "dataset.long_text=windows makes several rows of one, which these files cannot say; take another"
        )
    if config.dataset.name == "tfrecord":
        raise ConfigError("dataset=tfrecord is encoded already; name the data set that its rows came from")
    if out.exists() and not out.is_dir():
        raise DataError(f"out={out} is a file; name a folder")
    if out.is_dir() and read_encoding(out) is None and any(not path.name.startswith(".") for path in out.iterdir()):
        raise DataError(f"out={out} holds other files and no {SHEET}; name a new or empty folder")


def _load_vocabulary(plan: Plan, config: Config) -> tuple[tuple[str, ...], bool, bool]:
    """The vocabulary of a model that must be loaded to know it."""
    from bertexp.system import devices

    say(labelled("loading", "TensorFlow, for the model's vocabulary"))
    devices.prepare()
    from bertexp.models.pretrained import load_encoder

    loaded = load_encoder(plan.model, config.model)
    return loaded.vocab, loaded.lowercase, loaded.strip_accents


def _claim(folder: Path, encoding: Encoding) -> None:
    """Makes the folder this encoding's; raises DataError if it is another one's."""
    there = read_encoding(folder)
    if there is None:
        write_text(folder / SHEET, encoding.as_text())
    elif differences := there.differences(encoding):
        raise DataError(
            f"{folder} holds another encoding ({', '.join(differences)}); name another folder, or remove this one"
        )


def _write(
    dataset: TextDataset, vocab: Sequence[str], config: Config, encoding: Encoding, out: Path, workers: int
) -> int:
    missing = encoding.missing(out)
    if not missing:
        return 0
    from bertexp.system import devices

    say(labelled("loading", "TensorFlow, for its tokenizer"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it has nothing to say that concerns an encoding
    devices.prepare()
    from bertexp.data.examples.shards import write_shards
    from bertexp.data.tokens.tokenizer import Tokenizer

    total = sum(shard.rows for shard in missing)
    say(labelled("encodes", f"{total:,} rows into {len(missing)} shards, {workers} at a time"))
    tokenizer = Tokenizer(vocab, encoding.lowercase, encoding.strip_accents)
    started = time.monotonic()
    with Progress("encoded", total, "rows") as bar:
        write_shards(missing, dataset, tokenizer, config.dataset, out, workers, bar.advance)
    seconds = time.monotonic() - started
    say(labelled("encoded", f"in {seconds:.1f} s, {total / seconds:,.0f} rows a second"))
    return len(missing)


def _say_farewell(encoding: Encoding, folder: Path, made: int, config: Config) -> None:
    for split, sizes in encoding.shards.items():
        name = encoding.files(split)[0]
        more = f" and {len(sizes) - 1} more" if len(sizes) > 1 else ""
        say(labelled(split, f"{sum(sizes):,} rows in {folder / name}{more}"))
    total = sum(map(len, encoding.shards.values()))
    say(labelled("wrote", f"{made} of {total} shards" + ("" if made == total else ", the others were there")))
    settings: dict[str, str | int] = {"dataset": "tfrecord", "dataset.path": str(folder)}
    settings |= {"dataset.max_length": encoding.max_length, "dataset.long_text": encoding.long_text}
    changed = [write(key, value) for key, value in settings.items() if value not in (128, "truncate_head")]
    changed.append(f"task={encoding.task}")
    say(labelled("train", run_line(*changed, *words_of_model(config))))
