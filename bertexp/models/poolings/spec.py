"""The poolings there are, and what each reads of the encoder. Standard library only."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Pool = Callable[[Mapping[str, Any], Any], Any]  # see `build_pooling`


@dataclass(frozen=True)
class Pooling:
    """How one vector is made of a text's."""

    reads: str  # pooler (the encoder's dense layer over [CLS]) | first (that position alone) | all (every position)
    title: str = ""  # of its box in the picture of the model
    detail: str = ""
    count_weights: Callable[[int], int] = lambda hidden_size: 0  # its own, which learn as the head does


POOLINGS = {  # value of model.pooling and file in this folder
    "pooler": Pooling("pooler", "pooler", "dense + tanh over [CLS]"),
    "cls": Pooling("first", "[CLS] pooling", "the first position"),
    "mean": Pooling("all", "mean pooling", "over the tokens"),
    "max": Pooling("all", "max pooling", "over the tokens"),
    "none": Pooling("all"),  # a vector for each position: of tasks that read every word
}


def others_than_pooler() -> str:
    """The values of model.pooling for an encoder without a pooler, as a sentence names them."""
    *most, last = (name for name, pooling in POOLINGS.items() if pooling.reads != "pooler" and name != "none")
    return f"{', '.join(most)} or {last}"


def build_pooling(name: str, seed: int) -> Pool:
    """Makes a pooling; one with weights is a Keras layer, whose first weights ``seed`` decides.

    It maps the encoder's outputs (sequence_output <float>[batch, seq, hidden], pooled_output <float>[batch, hidden]) and the
    mask <int32>[batch, seq], which is 1 for tokens (at least one a row) and 0 for padding, to <float>[batch, hidden]; "none"
    maps them to <float>[batch, seq, hidden].
    """
    return importlib.import_module(f"bertexp.models.poolings.{name}").build(seed)
