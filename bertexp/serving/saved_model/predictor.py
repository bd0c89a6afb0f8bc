"""An exported model as a Python object that answers texts; what ``python -m bertexp predict`` asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertexp.serving.answers import Prediction
from bertexp.serving.spec import read_about
from bertexp.system import devices

devices.prepare()

from bertexp.serving.saved_model.pyfunc import TextModel  # noqa: E402  TensorFlow may only be imported prepared


class Predictor:
    """An exported model, ready to answer.

    Args:
        folder: a SavedModel written by bertexp, such as ``<run folder>/model``.

    Raises:
        RunNotFound: bertexp did not write it, or a later version did.
    """

    def __init__(self, folder: str | Path):
        self._model = TextModel(folder, read_about(Path(folder)))

    def predict(self, texts: Mapping[str, Sequence[Any]], batch_size: int = 64) -> list[Prediction]:
        """Answers rows in their order.

        Args:
            texts: one sequence for each text that the model reads, by its name: ``text``, perhaps ``text_pair``. A tagger
                takes ``words`` instead, sentences that are already split.

        Raises:
            ValueError: the model reads other texts, or they differ in length.
        """
        answers = self._model.answers(texts, batch_size)
        shown = {"text": list(map(" ".join, texts["words"]))} if "words" in texts else texts
        rows = (dict(zip(shown, row, strict=True)) for row in zip(*shown.values(), strict=True))
        return list(map(Prediction, rows, answers))
