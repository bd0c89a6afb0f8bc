"""Loads an exported model: for MLflow, for ``bertexp predict`` and for the check after the export.

This one file travels inside every logged MLflow model and runs where bertexp is not installed, so it imports
tensorflow and tensorflow_text and nothing else beyond numpy (pandas only where MLflow asks for a table).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizer's operations


class TextModel:
    """An exported model in memory.

    Attributes:
        label_names: the classes, in the order of the probabilities.
        has_pair: whether the model reads two texts.
    """

    def __init__(self, folder: str | Path):
        about = json.loads((Path(folder) / "bertexp.json").read_text(encoding="utf-8"))
        self.label_names: list[str] = about["label_names"]
        self.has_pair: bool = about["has_pair"]
        self._saved_model = tf.saved_model.load(str(folder))  # held: the signature owns no variables
        self._serve = self._saved_model.signatures["serving_default"]

    def classify(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None = None, batch_size: int = 64
    ) -> tuple[list[str], np.ndarray]:
        """Classifies texts in batches of like length.

        Returns:
            The label of every text, and probabilities <float32>[len(texts), classes].

        Raises:
            ValueError: the model reads two texts and got one, or the other way round.
        """
        if self.has_pair != (text_pairs is not None):
            raise ValueError(f"this model reads {'text and text_pair' if self.has_pair else 'text only'}")
        if text_pairs is not None and len(text_pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts do not go with {len(text_pairs)} text_pairs")
        columns = {"text": texts} | ({"text_pair": text_pairs} if text_pairs is not None else {})
        order = np.argsort([sum(map(len, row)) for row in zip(*columns.values(), strict=True)], kind="stable")
        labels = np.empty(len(texts), object)
        probabilities = np.empty((len(texts), len(self.label_names)), np.float32)
        for begin in range(0, len(texts), batch_size):
            rows = order[begin : begin + batch_size]
            answer = self._serve(
                **{name: tf.constant([column[row] for row in rows]) for name, column in columns.items()}
            )
            labels[rows] = [label.decode() for label in answer["label"].numpy()]
            probabilities[rows] = answer["probabilities"].numpy()
        return labels.tolist(), probabilities

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """MLflow's entry: a pandas table with ``label``, ``probability`` (of that label) and ``p_<class>`` columns.

        Args:
            model_input: a pandas table, or dict, with the column text (and text_pair), or a text, or a sequence of
                texts or of such dicts. A cell may hold one text or a list of one, as serving requests often do.
            params: not used.
        """
        import pandas

        texts = _column(model_input, "text")
        labels, probabilities = self.classify(texts, _column(model_input, "text_pair") if self.has_pair else None)
        table = pandas.DataFrame({"label": labels, "probability": probabilities.max(axis=1, initial=0.0)})
        return table.assign(**{f"p_{name}": probabilities[:, place] for place, name in enumerate(self.label_names)})


def _load_pyfunc(path: str) -> TextModel:
    """MLflow calls this with the folder of the SavedModel."""
    return TextModel(path)


def _column(model_input: Any, name: str) -> list[str]:
    """The texts of one column, whatever the form in which the request brought them."""
    if hasattr(model_input, "columns"):  # a pandas table
        columns = list(model_input.columns)
        if name not in columns and (len(columns) > 1 or name == "text_pair"):
            raise ValueError(f"the input has no column {name!r}, only {columns}")
        model_input = model_input[name if name in columns else columns[0]]
    elif isinstance(model_input, dict):
        if name not in model_input:
            raise ValueError(f"the input has no key {name!r}, only {list(model_input)}")
        model_input = model_input[name]
    elif isinstance(model_input, list | tuple) and model_input and isinstance(model_input[0], dict):
        return [text for row in model_input for text in _column(row, name)]
    elif name == "text_pair":
        raise ValueError("this model reads text and text_pair: give a table or dicts with both")
    return _flatten(model_input)


def _flatten(cell: Any) -> list[str]:
    if isinstance(cell, str):
        return [cell]
    if isinstance(cell, bytes):
        return [cell.decode()]
    if hasattr(cell, "tolist"):  # numpy arrays and pandas columns
        return _flatten(cell.tolist())
    if isinstance(cell, list | tuple):
        return [text for part in cell for text in _flatten(part)]
    raise ValueError(f"a text was expected, not {cell!r}")
