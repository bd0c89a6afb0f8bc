"""Loads an exported model: for MLflow, for ``bertexp predict`` and for the check after the export.

This one file travels inside every logged MLflow model and runs where bertexp is not installed, so it imports
tensorflow and tensorflow_text and nothing else beyond numpy (pandas only where MLflow asks for a table).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizer's operations

_FORMAT = 2  # of the bertexp.json that this file reads
_BY_WORD = ("words", "tags")  # of an answer: lists with a value for each word
_PIECES = 512  # that a text of a full batch may have; longer ones come fewer at a time


class TextModel:
    """An exported model in memory.

    Attributes:
        label_names: the classes, in the order of the probabilities; empty if there are none.
        inputs: the names of the texts that it reads: ``text``, perhaps ``text_pair``, or ``question`` and ``context``.
        numbers: the output that holds the numbers of an answer, such as ``probabilities``.

    Args:
        folder: of the SavedModel.
        about: the content of its ``bertexp.json``; None: as it lies there.

    Raises:
        ValueError: the file is of another format.
    """

    def __init__(self, folder: str | Path, about: Mapping[str, Any] | None = None):
        about = about or json.loads((Path(folder) / "bertexp.json").read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise ValueError(f"{folder}/bertexp.json has format {about['format']}, and this loader reads {_FORMAT}")
        self.label_names: list[str] = about["label_names"]
        self.inputs: list[str] = about["inputs"]
        self.numbers: str = about["numbers"]
        self._columns: list[dict[str, Any]] = about["answer"]
        self._most_pieces: float = about["max_length"] if about["bounded"] else np.inf  # of a text
        self._saved_model = tf.saved_model.load(str(folder))  # held: the signature owns no variables
        self._serve = self._saved_model.signatures["serving_default"]

    def run(
        self, texts: Mapping[str, Sequence[str] | Sequence[Sequence[str]]], batch_size: int = 64
    ) -> dict[str, np.ndarray]:
        """The outputs of ``serving_default`` for texts of any number, run in batches of like length, fewer of long ones.

        Args:
            texts: one sequence for each of ``inputs``, all of one length. A tagger takes ``words`` instead, a list of
                words a row.

        Returns:
            Arrays [rows, …] by name, strings as ``str``.

        Raises:
            ValueError: an input is missing or too much, or they differ in length.
        """
        in_words = list(texts) == ["words"] and "words" in self._saved_model.signatures
        inputs, serve = (["words"], self._saved_model.signatures["words"]) if in_words else (self.inputs, self._serve)
        if sorted(texts) != sorted(inputs):
            raise ValueError(f"this model reads {' and '.join(inputs)}, not {' and '.join(texts)}")
        columns = {name: list(texts[name]) for name in inputs}
        rows = len(columns[inputs[0]])
        for name, column in columns.items():
            if len(column) != rows:
                raise ValueError(f"{rows} {inputs[0]}s do not go with {len(column)} {name}s")
        size = len if in_words else lambda text: len(text.encode()) / 4  # in pieces, about
        sizes = np.array([sum(map(size, row)) for row in zip(*columns.values(), strict=True)], float)
        outputs: dict[str, list[np.ndarray]] = {name: [] for name in serve.structured_outputs}
        order = np.argsort(sizes, kind="stable")
        for batch in np.split(order, self._bounds(sizes[order], batch_size)):
            chosen = {name: _strings([column[row] for row in batch], in_words) for name, column in columns.items()}
            for name, value in serve(**chosen).items():
                outputs[name].append(_to_text(value.numpy()) if value.dtype == tf.string else value.numpy())
        back = np.argsort(order, kind="stable")
        return {name: _join(parts)[back] for name, parts in outputs.items()}

    def _bounds(self, pieces: np.ndarray, batch_size: int) -> list[int]:
        """Where the batches after the first begin, in texts of about so many pieces <float>[N], ascending.

        A batch's memory goes by its rows times its longest text, and a text that is read whole has no bound: 64 long ones
        can be a thousand windows.
        """
        bounds, begin = [], 0
        for row, size in enumerate(np.minimum(pieces, self._most_pieces)):
            if row > begin and (row - begin == batch_size or (row - begin + 1) * size > batch_size * _PIECES):
                bounds.append(row)
                begin = row
        return bounds

    def answers(self, texts: Mapping[str, Sequence[Any]], batch_size: int = 64) -> list[dict[str, Any]]:
        """What the model says of each row, ready for JSON, by the names of the columns that ``bertexp.json`` lists."""
        outputs = self.run(texts, batch_size)
        rows = (dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True))
        return [{column["name"]: self._tell(column, row) for column in self._columns} for row in rows]

    def _tell(self, column: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
        """One value of an answer from the outputs of its row; ``bertexp/interfaces.py`` says what each kind is."""
        kind, value = column["kind"], row[column["output"]]
        if kind == "plain":
            return value.item() if isinstance(value, np.generic) else value
        if kind == "words":
            return value[row["words"] != ""].tolist()
        if kind == "by_class":
            return dict(zip(self.label_names, value.tolist(), strict=True))
        if kind == "of_class":
            return float(value[self.label_names.index(row[column["of"]])])
        if kind == "above":
            pairs = zip(self.label_names, value.tolist(), strict=True)
            return [name for name, number in pairs if number >= column["threshold"]]
        if kind == "entities":
            return self._entities(row["words"], value, row[self.numbers], column.get("scheme"))
        raise ValueError(f"this loader knows no column of the kind {kind!r}")

    def _entities(
        self, words: np.ndarray, tags: np.ndarray, probabilities: np.ndarray, scheme: str | None
    ) -> list[dict[str, Any]]:
        """Text, type, first word, the word after the last and probability (the least of its words') of each entity.

        Args:
            words: <object>[W], padded with "".
            tags: <object>[W].
            probabilities: <float32>[W, tags].
        """
        there = words != ""
        spelled, best = words[there].tolist(), probabilities[there].max(axis=1, initial=0.0)
        return [
            {
                "text": " ".join(spelled[begin:end]),
                "type": kind,
                "begin": begin,
                "end": end,
                "probability": float(best[begin:end].min()),
            }
            for kind, begin, end in find_entities(tags[there].tolist(), scheme)
        ]

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """MLflow's entry: a pandas table of ``answers``, each class's probability in a column ``p_<class>``.

        Args:
            model_input: a pandas table, or dict, with a column for each of ``inputs``, or a text, or a sequence of texts
                or of such dicts. A cell may hold one text or a list of one, as serving requests often do.
            params: not used.
        """
        import pandas

        answers = self.answers({name: _column(model_input, name, self.inputs) for name in self.inputs})
        columns = [*flatten(answers[0])] if answers else [f"p_{name}" for name in self.label_names]
        return pandas.DataFrame([flatten(answer) for answer in answers], columns=columns)


def flatten(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as the cells of one line: ``probabilities`` becomes ``p_<class>``, a list one text."""
    flat: dict[str, Any] = {}
    for name, value in answer.items():
        if isinstance(value, dict):
            flat |= {f"p_{inner}": number for inner, number in value.items()}
        elif name == "entities":
            flat[name] = ", ".join(f"{entity['text']} ({entity['type']})" for entity in value)
        elif isinstance(value, list):
            flat[name] = (" " if name in _BY_WORD else ", ").join(map(str, value))
        else:
            flat[name] = value
    return flat


def find_entities(tags: Sequence[str], scheme: str | None) -> list[tuple[str, int, int]]:
    """Type, first word and the word after the last of each entity, strictly by the scheme of the tags.

    A tag that goes on with an entity that did not begin counts for nothing. Without a scheme every word that is not
    tagged O stands for itself.
    """
    if scheme is None:
        return [(tag, index, index + 1) for index, tag in enumerate(tags) if tag != "O"]
    single, last = {"IOB2": ("", ""), "IOBES": ("S", "E"), "BILOU": ("U", "L")}[scheme]
    entities: list[tuple[str, int, int]] = []
    kind, begin = "", -1  # of the entity that is open; -1: none is
    for index, tag in enumerate([*tags, "O"]):
        prefix, own = tag[:1], tag[2:]
        goes_on = begin >= 0 and own == kind
        if goes_on and prefix == "I":
            continue
        if begin >= 0 and (not last or (goes_on and prefix == last)):
            entities.append((kind, begin, index + bool(last)))
        kind, begin = (own, index) if prefix == "B" else ("", -1)
        if prefix == single:
            entities.append((own, index, index + 1))
    return entities


def _load_pyfunc(path: str) -> TextModel:
    """MLflow calls this with the folder of the SavedModel."""
    return TextModel(path)


def _column(model_input: Any, name: str, inputs: Sequence[str]) -> list[str]:
    """The texts of one column, whatever the form in which the request brought them."""
    if hasattr(model_input, "columns") or isinstance(model_input, dict):  # a pandas table has columns
        names, has_keys = list(model_input), isinstance(model_input, dict)
        if name not in names and (has_keys or len(names) > 1 or len(inputs) > 1):
            raise ValueError(f"the input has no {'key' if has_keys else 'column'} {name!r}, only {names}")
        model_input = model_input[name if name in names else names[0]]
    elif isinstance(model_input, list | tuple) and model_input and isinstance(model_input[0], dict):
        return [text for row in model_input for text in _column(row, name, inputs)]
    elif len(inputs) > 1:
        raise ValueError(f"this model reads {' and '.join(inputs)}: give a table or dicts with both")
    return _texts(model_input)


def _texts(cell: Any) -> list[str]:
    if isinstance(cell, str):
        return [cell]
    if isinstance(cell, bytes):
        return [cell.decode()]
    if hasattr(cell, "tolist"):  # numpy arrays and pandas columns
        return _texts(cell.tolist())
    if isinstance(cell, list | tuple):
        return [text for part in cell for text in _texts(part)]
    raise ValueError(f"a text was expected, not {cell!r}")


def _strings(values: list[Any], in_words: bool) -> tf.Tensor:
    """Texts <string>[N], or words <string>[N, W] padded with ""."""
    return tf.ragged.constant(values, tf.string, 1).to_tensor("") if in_words else tf.constant(values, tf.string)


def _to_text(values: np.ndarray) -> np.ndarray:
    """<bytes>[…] to <object>[…] of str."""
    return np.array([value.decode() for value in values.ravel()], object).reshape(values.shape)


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """Batches as one array; all but the first axis are padded to the widest with what is nothing there."""
    widest = np.max([part.shape[1:] for part in parts], axis=0).astype(int)
    nothing, padded = "" if parts[0].dtype == object else 0, []
    for part in parts:
        missing = [(0, int(width)) for width in widest - part.shape[1:]]
        padded.append(np.pad(part, [(0, 0), *missing], constant_values=nothing))
    return np.concatenate(padded)
