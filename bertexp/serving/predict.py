"""``python -m bertexp predict RUN "text" …``: what a run's exported model says of texts.

Whatever can be wrong with the command line or the input is found before TensorFlow is imported.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertexp.errors import DataError, RunNotFound
from bertexp.runs import find_run, list_runs, with_outputs_dir, write_atomically

ROWS_PER_STEP = 1024  # of the progress bar

EXAMPLES = """\
examples:
  python -m bertexp predict last "A film to remember." "Two hours I will not get back."
  python -m bertexp predict last --file reviews.csv --text-column review --output predictions.csv
  python -m bertexp predict outputs/runs/NAME --json < texts.txt
"""


@dataclass(frozen=True)
class Prediction:
    """One row and what the model says of it."""

    texts: dict[str, str]  # by the model's input names: text, perhaps text_pair
    answer: dict[
        str, Any
    ]  # as bertexp.serving.pyfunc tells for each task; of a class: label, probability, probabilities

    def as_dict(self) -> dict[str, Any]:
        """Texts and answer, ready for JSON."""
        return self.texts | self.answer


class Predictor:
    """An exported model, ready to answer.

    Args:
        folder: a SavedModel written by bertexp, such as ``<run folder>/model``.
    """

    def __init__(self, folder: str | Path):
        from bertexp import environment

        environment.prepare()
        from bertexp.serving.pyfunc import TextModel

        self._model = TextModel(folder)

    def predict(self, *texts: Sequence[str], batch_size: int = 64) -> list[Prediction]:
        """Answers texts (with their second texts, where the model reads two), keeping their order.

        Raises:
            ValueError: the model reads another number of texts, or they differ in length.
        """
        inputs = self._model.inputs
        if len(texts) != len(inputs):
            raise ValueError(f"this model reads {' and '.join(inputs)}; {len(texts)} sequences of texts were given")
        answers = self._model.answers(dict(zip(inputs, texts, strict=True)), batch_size)
        rows = zip(*texts, strict=True)
        return [
            Prediction(dict(zip(inputs, row, strict=True)), answer) for row, answer in zip(rows, answers, strict=True)
        ]


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit status.

    Raises:
        BertexpError: the run, the model or the input is not there or not of the right form.
    """
    options = _parser().parse_intermixed_args(with_outputs_dir(argv))
    folder, about = find_model(options.run, options.outputs_dir)
    texts = len(about["inputs"])
    if options.file:
        named = (options.text_column, options.pair_column)[:texts]
        columns = [given or name for given, name in zip(named, about["inputs"], strict=True)]
        rows = read_file(Path(options.file), columns)
    elif options.text:
        rows = _from_words(options.text, about["inputs"])
    elif not sys.stdin.isatty():
        rows = _from_lines(sys.stdin.read().splitlines(), texts, "standard input")
    else:
        raise DataError('no text to answer: give it as "text", with --file, or through a pipe')
    if options.output and Path(options.output).suffix not in (".csv", ".jsonl"):
        raise DataError(f"--output {options.output} must end in .csv or .jsonl")

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the answer is all that is wanted on the terminal
    predictor = Predictor(folder)
    from tqdm import tqdm

    predictions: list[Prediction] = []
    # None: a bar on a terminal only
    with tqdm(total=len(rows), unit=" texts", disable=True if len(rows) <= ROWS_PER_STEP else None) as bar:
        for begin in range(0, len(rows), ROWS_PER_STEP):
            step = list(zip(*rows[begin : begin + ROWS_PER_STEP], strict=True))
            predictions += predictor.predict(*step, batch_size=options.batch_size)
            bar.update(len(step[0]))

    if options.output:
        as_text = _as_csv if options.output.endswith(".csv") else _as_json_lines
        write_atomically(Path(options.output), as_text(predictions))
        print(f"{len(predictions)} predictions in {options.output}")
    else:
        print(_as_json_lines(predictions) if options.json else as_table(predictions), end="")
    return 0


def find_model(reference: str, outputs_dir: str) -> tuple[Path, dict[str, Any]]:
    """The exported model that ``reference`` (a SavedModel folder, run folder, run id or ``last``) names.

    Returns:
        Its folder and the content of its ``bertexp.json``.

    Raises:
        RunNotFound: there is no such run, or it exported nothing.
    """
    folder = Path(reference)
    if not (folder / "saved_model.pb").exists():
        run = find_run(reference, outputs_dir)
        folder = run.model_folder
        if not (folder / "saved_model.pb").exists():
            others = [
                other.path.name for other in list_runs(outputs_dir) if (other.model_folder / "bertexp.json").exists()
            ]
            cure = f"the newest run that has one is {others[0]}" if others else "no run here has one yet"
            raise RunNotFound(
                f"run {run.path.name} ({run.info.get('state', 'not begun')}) has no exported model; {cure}"
            )
    try:
        return folder, json.loads((folder / "bertexp.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunNotFound(
            f"{folder} is a SavedModel, but not one that bertexp exported: bertexp.json is missing"
        ) from None


def read_file(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Reads texts from csv, tsv, jsonl or parquet by column name, from any other file one row a line.

    Returns:
        One tuple a row, with as many texts as ``columns``.

    Raises:
        DataError: the file cannot be read, lacks a column or holds an empty cell.
    """
    if not path.is_file():
        raise DataError(f"--file {path} does not exist")
    if path.suffix in (".conll", ".json"):
        raise DataError(
            f"--file {path} is no list of texts; give a csv, tsv, jsonl or parquet file, or one text a line"
        )
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import json as arrow_json
    from pyarrow import parquet

    try:
        if path.suffix in (".csv", ".tsv"):
            parse = arrow_csv.ParseOptions(delimiter="," if path.suffix == ".csv" else "\t", newlines_in_values=True)
            as_strings = arrow_csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()))
            table = arrow_csv.read_csv(path, parse_options=parse, convert_options=as_strings)
        elif path.suffix == ".jsonl":
            table = arrow_json.read_json(path)
        elif path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            return _from_lines(path.read_text(encoding="utf-8-sig").splitlines(), len(columns), str(path))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    found = []
    for column in columns:
        if column not in table.column_names:
            raise DataError(
                f"{path} has no column {column!r}, only {', '.join(table.column_names)}: "
                "name the right ones with --text-column and --pair-column"
            )
        found.append(table[column].to_pylist())
    rows = list(zip(*found, strict=True))
    if not rows:
        raise DataError(f"{path} holds no text to answer")
    for number, row in enumerate(rows, start=1):
        if not all(isinstance(text, str) for text in row):
            raise DataError(f"{path} holds no text in row {number}: {row}")
    return rows


def _from_words(words: Sequence[str], inputs: Sequence[str]) -> list[tuple[str, ...]]:
    if len(inputs) == 1:
        return [(word,) for word in words]
    if len(words) % 2:
        wanted = '" "'.join(inputs)
        raise DataError(f'this model reads two texts at a time: give "{wanted}", not {len(words)} texts')
    return list(zip(words[::2], words[1::2], strict=True))


def _from_lines(lines: Iterable[str], n_texts: int, source: str) -> list[tuple[str, ...]]:
    """One row a line; two texts are parted by a tab."""
    rows = [tuple(line.split("\t")) if n_texts == 2 else (line,) for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != n_texts:
            raise DataError(
                f"line {number} of {source} must hold two texts parted by a tab, since the model reads pairs"
            )
    if not rows:
        raise DataError(f"{source} holds no text to answer")
    return rows


def as_table(predictions: Sequence[Prediction]) -> str:
    """Answer and text in columns; texts are cut to the width of the terminal, if there is one."""
    cells = [_shown(prediction.answer) for prediction in predictions]
    head = list(cells[0])
    widths = [max(len(name), *(len(row[name]) for row in cells)) for name in head]
    used = sum(widths) + 2 * len(widths)
    room = max(20, shutil.get_terminal_size().columns - used - 1) if sys.stdout.isatty() else None

    def line(words: Sequence[str], text: str) -> str:
        return "  ".join([*(word.ljust(width) for word, width in zip(words, widths, strict=True)), text]).rstrip()

    lines = [line(head, "text")]
    for prediction, row in zip(predictions, cells, strict=True):
        text = " | ".join(" ".join(part.split()) for part in prediction.texts.values())
        lines.append(line(list(row.values()), text if room is None or len(text) <= room else f"{text[: room - 1]}…"))
    return "\n".join(lines) + "\n"


def _shown(answer: dict[str, Any]) -> dict[str, str]:
    """The cells of the table: probabilities by class, words and their tags are for JSON and csv."""
    from bertexp.serving.pyfunc import flatten

    brief = {name: value for name, value in answer.items() if name not in ("probabilities", "words", "tags")}
    cells = flatten(brief).items()
    return {name: f"{value:.4f}" if isinstance(value, float) else str(value) or "-" for name, value in cells}


def _as_json_lines(predictions: Sequence[Prediction]) -> str:
    return "".join(json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in predictions)


def _as_csv(predictions: Sequence[Prediction]) -> str:
    from bertexp.serving.pyfunc import flatten

    rows = [flatten(one.as_dict()) for one in predictions]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bertexp predict",
        description="Ask a run's exported model about texts.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="last, a run id, a run folder or a SavedModel folder")
    parser.add_argument("text", nargs="*", metavar="TEXT", help='a text; models of two texts: "text" "other text" ...')
    parser.add_argument("--file", help="csv, tsv, jsonl or parquet with a header; else one text a line (pairs: a tab)")
    parser.add_argument("--text-column", metavar="NAME", help="column of the texts (default: text, or question)")
    parser.add_argument("--pair-column", metavar="NAME", help="of second texts (default: text_pair, or context)")
    parser.add_argument("--json", action="store_true", help="print JSON lines, of classes with every probability")
    parser.add_argument("--output", metavar="FILE", help="write to a .csv or .jsonl file")
    parser.add_argument("--batch-size", type=_positive, default=64, metavar="N", help="texts at a time (default: 64)")
    parser.add_argument("--outputs-dir", default="outputs", metavar="DIR", help="where runs lie (default: outputs)")
    return parser


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word} is not a whole number above 0")
    return int(word)
