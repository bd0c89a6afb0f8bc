"""An exported model as a Python object that answers texts; what ``python -m bertexp predict`` asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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

    def tag(self, sentences: Sequence[Sequence[str]], batch_size: int = 64) -> list[Prediction]:
        """Answers sentences that are already split into words, keeping their order; for taggers."""
        answers = self._model.answers({"words": sentences}, batch_size)
        return [Prediction({"text": " ".join(words)}, answer) for words, answer in zip(sentences, answers, strict=True)]
