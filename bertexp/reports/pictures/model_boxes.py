"""The boxes of the model plot, read off the model itself: what it computes, how many weights, which of them learn."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bertexp.models.poolings.spec import POOLINGS
from bertexp.reports.pictures.figures import LayerBox

if TYPE_CHECKING:
    from bertexp.runs.stages.parts import Parts


def make_boxes(parts: Parts) -> list[LayerBox]:
    """Returns the boxes from the text down to the probabilities.

    An encoder whose layers are not known (an opaque SavedModel) is one box. A pooler that the pooling does not read is
    left out.
    """
    model, task = parts.module.model, parts.task
    hidden = model.head.dense.kernel.shape[0]
    pieces = f"batch, ≤{parts.data.config.max_length}"
    answers = pieces if model.pooling == "none" else "batch"
    boxes = [
        LayerBox("two texts" if parts.dataset.has_pair else "text", shape="[batch]"),
        LayerBox("WordPiece tokenizer", f"{len(parts.loaded.vocab):,} word pieces", f"[{pieces}]"),
        *_encoder_boxes(parts, f"[{pieces}, {hidden}]"),
    ]
    if model.pooling != "none":
        pooling = POOLINGS[model.pooling]
        layers = [model.encoder.layers.pooler] if pooling.reads == "pooler" and parts.loaded.architecture else []
        layers += [model.pool] if hasattr(model.pool, "weights") else []
        boxes.append(_box(pooling.title, pooling.detail, f"[{answers}, {hidden}]", layers))
    if model.head.dropout:
        boxes.append(LayerBox("dropout", f"{model.head.dropout:g} while training", f"[{answers}, {hidden}]"))
    boxes.append(_box("head", "dense", f"[{answers}, {task.units}]", [model.head.dense]))
    shape = f"[{answers}, {len(parts.dataset.label_names)}]" if task.label_names else f"[{answers}]"
    boxes.append(LayerBox(*task.spec.describe_answer(task.units), shape))
    return boxes


def _encoder_boxes(parts: Parts, shape: str) -> list[LayerBox]:
    encoder, sizes = parts.module.model.encoder, parts.loaded.architecture
    embeddings, transformer, _ = encoder.layers
    if sizes is None:
        return [_box("encoder", "its layers unknown", shape, [encoder])]
    boxes = [_box("embeddings", "word + position + type", shape, embeddings)]
    detail = f"{sizes.num_heads} heads, {sizes.hidden_size} → {sizes.intermediate_size} → {sizes.hidden_size}"
    for _, layers in groupby(transformer, key=_learns):
        boxes.append(_box("transformer layer", detail, shape, list(layers), stacked=True))
    return boxes


def _box(name: str, detail: str, shape: str, layers: list[Any], stacked: bool = False) -> LayerBox:
    weights = sum(math.prod(weight.shape) for layer in layers for weight in layer.weights)
    return LayerBox(name, detail, shape, weights, any(map(_learns, layers)), len(layers) if stacked else 1)


def _learns(layer: Any) -> bool:
    return bool(layer.trainable_weights)
