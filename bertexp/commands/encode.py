"""``python -m bertexp encode``: a data set as shards of word pieces, made once, trained from many times."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import bertexp
from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config
from bertexp.config.store import group_options
from bertexp.data.encoded.encoding import (
    FORMATS,
    SHEET,
    VOCABULARY,
    Encoding,
    cut_into_shards,
    fingerprint_of,
    read_encoding,
)
from bertexp.errors import ConfigError, DataError, did_you_mean
from bertexp.models.source.locate import read_vocabulary
from bertexp.runs.plan import Plan, make_plan
from bertexp.system.console import progress, say
from bertexp.system.files import locked, write_text

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset

HELP = """\
usage: python -m bertexp encode out=FOLDER [format=tfrecord] [shards=16] [workers=N] [group=option ...] [setting=value ...]

Writes a data set as shards of fixed-length rows with Model Garden's features: input_ids, input_mask, segment_ids and
label_ids. Started again, it goes on where it was stopped. The other words are those of a run and say which data, which
vocabulary and how long: dataset=..., model=..., dataset.max_length=128, task=...

  out=FOLDER       where FOLDER/<split>-00000-of-00016.tfrecord, encoded.json and vocab.txt will lie
  format=tfrecord  tfrecord (tf.train.Example) or arrow
  shards=16        files of the largest split; smaller splits have fewer
  workers=N        shards in work at a time (default: the number of cores)

examples:
  python -m bertexp encode dataset=imdb model=small_bert_l4 out=encoded/imdb
  python -m bertexp encode dataset=files dataset.path=reviews.csv out=encoded/reviews format=arrow shards=64
  python -m bertexp dataset=tfrecord dataset.path=encoded/imdb model=small_bert_l4"""

_TASKS = ("classification", "multi_label", "regression")


@dataclass(frozen=True)
class Request:
    """The command's own words."""

    out: Path
    format: str = "tfrecord"
    shards: int = 16
    workers: int = os.cpu_count() or 1


def main(words: Sequence[str]) -> int:
    """Encodes a data set; returns 0.

    Raises:
        BertexpError: a word is wrong, data or vocabulary cannot be read, or the folder holds something else.
    """
    if not words or "--help" in words or "-h" in words:
        print(HELP)
        return 0
    request, overrides = _read_words(words)
    config, _ = compose_config(overrides)
    _check(config, request.out)
    plan = make_plan(config)
    say(f"reads      {plan.dataset.description}")
    dataset = plan.dataset.load()
    plan.model.fetch()
    vocab, lowercase = read_vocabulary(plan.model, config.model) or _load_vocabulary(plan, config)
    rows = {split: table.num_rows for split, table in dataset.splits.items()}
    encoding = Encoding(
        format=request.format,
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
        shards=cut_into_shards(rows, request.shards),
        versions={"bertexp": bertexp.__version__, "tensorflow-text": metadata.version("tensorflow-text")},
    )
    with _hold(request.out, encoding):
        write_text(request.out / VOCABULARY, "".join(f"{piece}\n" for piece in vocab))
        made = _write(dataset, vocab, config, encoding, request)
    _say_farewell(encoding, request.out, made, overrides)
    return 0


def _read_words(words: Sequence[str]) -> tuple[Request, list[str]]:
    """Parts the command's own words from a run's."""
    own: dict[str, str] = {}
    overrides = []
    for word in words:
        key, _, value = word.partition("=")
        if key in Request.__annotations__:
            own[key] = value.strip("'\"")  # the door quotes a path whose ~ it has expanded
        elif "." in key or key in group_options():
            overrides.append(word)
        else:
            names = [*Request.__annotations__, *group_options()]
            raise ConfigError(
                f"{key} is no setting of encode{did_you_mean(key, names)}; `python -m bertexp encode --help` shows them"
            )
    if not own.get("out"):
        raise ConfigError("encode needs a folder to write to: out=FOLDER")
    if (kind := own.get("format", FORMATS[0])) not in FORMATS:
        raise ConfigError(f"format={kind} is not one of {', '.join(FORMATS)}{did_you_mean(kind, FORMATS)}")
    counts = {}
    for key in ("shards", "workers"):
        if key in own:
            if not own[key].isdecimal() or int(own[key]) == 0:
                raise ConfigError(f"{key}={own[key]} is not a whole number above 0")
            counts[key] = int(own[key])
    return Request(Path(own["out"]).expanduser(), kind, **counts), overrides


def _check(config: Config, out: Path) -> None:
    """What can be said before any data are read."""
    if config.task.name not in _TASKS:
        raise ConfigError(
            f"task={config.task.name} has no features in these files; encode knows {', '.join(_TASKS)}, and a run keeps the "
            "word pieces of any task under outputs/cache"
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


def _load_vocabulary(plan: Plan, config: Config) -> tuple[tuple[str, ...], bool]:
    """The vocabulary of a model that must be loaded to know it."""
    from bertexp.system import devices

    say("loading    TensorFlow, for the model's vocabulary")
    devices.prepare()
    from bertexp.models.pretrained import load_encoder

    loaded = load_encoder(plan.model, config.model)
    return loaded.vocab, loaded.lowercase


@contextmanager
def _hold(folder: Path, encoding: Encoding) -> Iterator[None]:
    """Makes the folder this encoding's, and keeps other processes out while the context lasts.

    Raises:
        DataError: it is another one's, or another process is at work in it.
    """
    busy = DataError(f"another process is encoding into {folder}; wait for it, or name another folder")
    with locked(folder / ".lock", fail=busy):
        there = read_encoding(folder)
        if there is None:
            write_text(folder / SHEET, encoding.as_text())
        elif differences := there.differences(encoding):
            raise DataError(
                f"{folder} holds another encoding ({', '.join(differences)}); name another folder, or remove this one"
            )
        yield


def _write(dataset: TextDataset, vocab: Sequence[str], config: Config, encoding: Encoding, request: Request) -> int:
    missing = encoding.missing(request.out)
    if not missing:
        return 0
    from bertexp.system import devices

    say("loading    TensorFlow, for its tokenizer")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it has nothing to say that concerns an encoding
    devices.prepare()
    from bertexp.data.examples.shards import write_shards
    from bertexp.data.tokens.tokenizer import Tokenizer

    total = sum(shard.rows for shard in missing)
    say(f"encodes    {total:,} rows into {len(missing)} shards, {request.workers} at a time")
    tokenizer = Tokenizer(vocab, encoding.lowercase)
    started = time.monotonic()
    with progress("encoded", total, "rows") as advance:
        write_shards(missing, dataset, tokenizer, config.dataset, request.out, request.workers, advance)
    seconds = time.monotonic() - started
    say(f"encoded    in {seconds:.1f} s, {total / seconds:,.0f} rows a second")
    return len(missing)


def _say_farewell(encoding: Encoding, folder: Path, made: int, overrides: Sequence[str]) -> None:
    for split, sizes in encoding.shards.items():
        name = encoding.files(split)[0]
        more = f" and {len(sizes) - 1} more" if len(sizes) > 1 else ""
        say(f"{split:<10} {sum(sizes):,} rows in {folder / name}{more}")
    total = sum(map(len, encoding.shards.values()))
    say(f"wrote      {made} of {total} shards" + ("" if made == total else ", the others were there"))
    settings = [f"dataset.max_length={encoding.max_length}"] if encoding.max_length != 128 else []
    settings += [f"dataset.long_text={encoding.long_text}"] if encoding.long_text != "truncate_head" else []
    settings += [f"task={encoding.task}"] if encoding.task != "classification" else []
    model = [word for word in overrides if word.startswith(("model=", "model."))]
    say(f"train      {' '.join(['python -m bertexp dataset=tfrecord', f'dataset.path={folder}', *settings, *model])}")
