"""``python -m bertexp predict RUN "text" …``: what a run's exported model says of texts.

Whatever can be wrong with the command line or the input is found before TensorFlow is imported.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertexp.commands import CommandParser, positive
from bertexp.errors import ConfigError, DataError, RunNotFound
from bertexp.runs.folder import find_run, list_runs
from bertexp.serving.answers import Prediction, as_conll, as_csv, as_json_lines, as_table, put_beside
from bertexp.serving.spec import read_about
from bertexp.serving.texts import Asked, from_lines, from_words, read_file, read_words
from bertexp.system.console import Progress
from bertexp.system.files import write_text

ROWS_PER_STEP = 1024  # of the progress bar

EXAMPLES = """\
  python -m bertexp predict last "A film to remember." "Two hours I will not get back."
  python -m bertexp predict last --file reviews.csv --text-column review --output predictions.csv
  python -m bertexp predict outputs/runs/NAME --json < texts.txt
"""


def main(words: Sequence[str]) -> int:
    """Runs the command; returns its exit status.

    Raises:
        BertexpError: the run, the model or the input is not there or not of the right form.
    """
    options = _parser().read(words)
    folder, about = find_model(options.run, options.outputs_dir)
    texts, is_tagger = len(about["inputs"]), about["reads_words"]
    if options.file and options.text:
        raise ConfigError(f"--file and the text {options.text[0]!r} are both given; ask about one of them at a time")
    in_words = bool(options.file) and is_tagger and (options.words_column or options.file.endswith(".conll"))
    if options.words_column and not in_words:
        raise DataError("--words-column names a column of --file for a tagger; this is not one, or there is no file")
    if options.file and not Path(options.file).is_file():
        raise DataError(f"--file {options.file} does not exist")
    if in_words:
        rows, table = read_words(Path(options.file), options.words_column or "words")
    elif options.file:
        named = (options.text_column, options.pair_column)[:texts]
        columns = [given or name for given, name in zip(named, about["inputs"], strict=True)]
        rows, table = read_file(Path(options.file), columns)
    elif options.text:
        rows, table = Asked(from_words(options.text, about["inputs"]))
    elif not sys.stdin.isatty():
        rows, table = Asked(from_lines(sys.stdin.read().splitlines(), texts, "standard input"))
    else:
        raise DataError('no text to answer: give it as "text", with --file, or through a pipe')
    _refuse_unused(options, columns=0 if in_words or table is None else texts)
    writers = {".csv": as_csv, ".jsonl": as_json_lines} | ({".conll": as_conll} if is_tagger else {})
    if options.output and Path(options.output).suffix not in writers:
        raise DataError(f"--output {options.output} must end in {' or '.join(writers)}")

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the answer is all that is wanted on the terminal
    from bertexp.serving.saved_model.predictor import Predictor

    predictor = Predictor(folder)
    predictions: list[Prediction] = []
    aside = functools.partial(print, file=sys.stderr)
    with Progress("", len(rows), "texts", tell=aside, leave=True, disable=len(rows) <= ROWS_PER_STEP) as bar:
        for begin in range(0, len(rows), ROWS_PER_STEP):
            step = rows[begin : begin + ROWS_PER_STEP]
            asked = {"words": step} if in_words else dict(zip(about["inputs"], zip(*step, strict=True), strict=True))
            predictions += predictor.predict(asked, options.batch_size)
            bar.advance(len(step))

    if not options.output and not options.json:
        print(as_table(predictions), end="")
        return 0
    if table is not None:
        predictions = put_beside(table.to_pylist(), predictions)
    if options.output:
        write_text(Path(options.output), writers[Path(options.output).suffix](predictions))
        print(f"{len(predictions)} predictions in {options.output}")
    else:
        print(as_json_lines(predictions), end="")
    return 0


def find_model(reference: str, outputs_dir: str) -> tuple[Path, dict[str, Any]]:
    """The exported model that ``reference`` (a SavedModel folder, run folder, run id or ``last``) names.

    Returns:
        Its folder and the content of its ``bertexp.json``.

    Raises:
        RunNotFound: there is no such run, or it exported nothing.
    """
    if (Path(reference) / "saved_model.pb").exists():
        return Path(reference), read_about(Path(reference))
    run = find_run(reference, outputs_dir)
    if not (run.model_folder / "saved_model.pb").exists():
        others = [other for other in list_runs(outputs_dir) if (other.model_folder / "bertexp.json").exists()]
        cure = f"the newest run that has one is {others[0].path.name}" if others else "no run here has one yet"
        raise RunNotFound(f"run {run.path.name} ({run.info.get('state', 'not begun')}) has no exported model; {cure}")
    return run.model_folder, read_about(run.model_folder)


def _refuse_unused(options: argparse.Namespace, columns: int) -> None:
    """Raises ``ConfigError`` for an option that reading so many columns of texts would pass over in silence."""
    unused = {
        "--text-column names a column, and no column is read": options.text_column and columns < 1,
        "--pair-column names a second column, and no second one is read": options.pair_column and columns < 2,
        "--json is for the terminal, and --output is given": options.json and options.output,
    }
    for why, is_unused in unused.items():
        if is_unused:
            raise ConfigError(f"{why}; leave it out")


def _parser() -> CommandParser:
    parser = CommandParser("predict", "text", EXAMPLES)
    parser.add_argument("run", metavar="RUN", help="last, a run id, a run folder or a SavedModel folder")
    parser.add_argument("text", nargs="*", metavar="TEXT", help='a text; models of two texts: "text" "other text" ...')
    parser.add_argument(
        "--file", help="csv, tsv, jsonl or parquet with a header; taggers: .conll; else one text a line (pairs: a tab)"
    )
    parser.add_argument("--text-column", metavar="NAME", help="column of the texts (default: text, or question)")
    parser.add_argument("--pair-column", metavar="NAME", help="of second texts (default: text_pair, or context)")
    parser.add_argument("--words-column", metavar="NAME", help="taggers: a column of lists of words in place of texts")
    parser.add_argument("--json", action="store_true", help="print JSON lines, of classes with every probability")
    parser.add_argument(
        "--output", metavar="FILE", help="a .csv or .jsonl file, beside the columns of --file; taggers: .conll"
    )
    parser.add_argument("--batch-size", type=positive, default=64, metavar="N", help="texts at a time (default: 64)")
    return parser
