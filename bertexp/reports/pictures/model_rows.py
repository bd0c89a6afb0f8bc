"""The boxes of the model plot, read off the model itself: what it computes, how many weights, which of them learn."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bertexp.models.poolings.spec import POOLINGS
from bertexp.reports.pictures.figures import LayerRow

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts


def make_layer_rows(parts: Parts) -> list[LayerRow]:
    """Returns the boxes from the text down to the probabilities.

    An encoder whose layers are not known (an opaque SavedModel) is one box. A pooler that the pooling does not read is
    left out.
    """
    model, task = parts.module.model, parts.task
    length = parts.data.config.max_length
    hidden = model.head.dense.kernel.shape[0]
    vector = f"[batch, {hidden}]"
    rows = [
        LayerRow("two texts" if parts.dataset.has_pair else "text", shape="[batch]"),
        LayerRow("WordPiece tokenizer", f"{len(parts.loaded.vocab):,} word pieces", f"[batch, ≤{length}]"),
        *_encoder_rows(parts, f"[batch, ≤{length}, {hidden}]"),
    ]
    if model.pooling == "none":
        vector = f"[batch, ≤{length}, {hidden}]"
    else:
        pooling = POOLINGS[model.pooling]
        layers = [model.encoder.layers.pooler] if pooling.reads == "pooler" and parts.loaded.architecture else []
        layers += [model.pool] if hasattr(model.pool, "weights") else []
        rows.append(_row(pooling.title, pooling.detail, vector, layers))
    if model.head.dropout:
        rows.append(LayerRow("dropout", f"{model.head.dropout:g} while training", vector))
    rows.append(_row("head", "dense", vector.replace(f" {hidden}]", f" {task.units}]"), [model.head.dense]))
    shape = vector.replace(f" {hidden}]", f" {len(parts.dataset.label_names)}]" if task.label_names else "]")
    rows.append(LayerRow(*task.spec.describe_answer(task.units), shape.replace(",]", "]")))
    return rows


def _encoder_rows(parts: Parts, shape: str) -> list[LayerRow]:
    encoder, sizes = parts.module.model.encoder, parts.loaded.architecture
    embeddings, transformer, _ = encoder.layers
    if sizes is None:
        return [_row("encoder", "its layers unknown", shape, [encoder])]
    rows = [_row("embeddings", "word + position + type", shape, embeddings)]
    detail = f"{sizes.num_heads} heads, {sizes.hidden_size} → {sizes.intermediate_size} → {sizes.hidden_size}"
    for _, layers in groupby(transformer, key=_learns):
        rows.append(_row("transformer layer", detail, shape, list(layers), stacked=True))
    return rows


def _row(name: str, detail: str, shape: str, layers: list[Any], stacked: bool = False) -> LayerRow:
    weights = sum(math.prod(weight.shape) for layer in layers for weight in layer.weights)
    return LayerRow(name, detail, shape, weights, any(map(_learns, layers)), len(layers) if stacked else 1)


def _learns(layer: Any) -> bool:
    return bool(layer.trainable_weights)
