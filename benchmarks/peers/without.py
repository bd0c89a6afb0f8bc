"""Ways to speed, each with its off switch: what a step costs without it."""

from __future__ import annotations

from collections.abc import Callable


def replace(module, name: str, other: Callable) -> None:
    """Puts another function in the place of a module's own, which must be there: a way that moved is to be noticed."""
    from bertexp.models.bert import layer as layers

    getattr(module, name)
    setattr(module, name, other)
    layers._traced.cache_clear()  # it holds what was traced before


def all_positions(parts) -> None:
    """The last layer computes every position, not [CLS] alone."""
    parts.loaded.encoder.only_cls = False


def full_width(parts) -> None:
    """Every batch is padded to the longest length allowed."""
    from bertexp.data.tokens import packing

    replace(packing, "padded_width", lambda longest, max_length: max_length)


def plain_dropout(parts) -> None:
    """TensorFlow's own stateless dropout: a uniform float for each element."""
    import tensorflow as tf

    from bertexp.models.bert import dropout, forward

    def draw_mask(rows, width, rate, seed):
        if seed is None or not rate:
            return None
        return tf.random.stateless_uniform([rows, width], seed[:2] + tf.stack([seed[2], 0])) >= rate

    for module in (dropout, forward):
        replace(module, "draw_mask", draw_mask)


def keras_optimizer(parts) -> None:
    """Keras's AdamW in place of the fused one, its gradients clipped before."""
    import tf_keras

    parts.module.make_optimizer = lambda steps: tf_keras.optimizers.AdamW(3e-5, weight_decay=0.01, jit_compile=False)


def layers_traced_apart(parts) -> None:
    """Each layer is a part of the step's graph of its own, and not a call of a graph that all share."""
    from bertexp.models.bert import layer as layers

    def traced(bert, closed, count, specs):
        return lambda rows, tokens, weights, masks: layers._transform(bert, closed, rows, tokens, weights, list(masks))

    traced.cache_clear = lambda: None
    replace(layers, "_traced", traced)


WAYS: dict[str, tuple[str, Callable | list[str] | dict[str, str]]] = {
    "onednn": ("oneDNN's kernels", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "lanes": ("a batch in two lanes", ["trainer.lanes=1"]),
    "words": ("training the words in use alone", ["trainer.words_in_use=false"]),
    "graphs": ("graphs as they are written", ["trainer.rewrite_graphs=true"]),
    "grouping": ("batches of like length", ["dataset.group_by_length=false"]),
    "width": ("batches as wide as their longest row", full_width),
    "cls": ("the last layer for [CLS] alone", all_positions),
    "layers": ("a layer traced once", layers_traced_apart),
    "dropout": ("cheap dropout masks", plain_dropout),
    "gradients": ("gradients of our own for GELU, LayerNorm, narrowing products", ["trainer.closed_gradients=false"]),
    "optimizer": ("the fused AdamW", keras_optimizer),
}
