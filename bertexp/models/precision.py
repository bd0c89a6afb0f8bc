"""Computing in float32 with a model of a mixed-precision policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tf_keras


@contextlib.contextmanager
def float32_inference(model: tf_keras.Model) -> Iterator[None]:
    """Lets every layer compute in float32 while the context lasts, for models of a mixed-precision policy.

    Only what is traced or run eagerly inside the context is affected.
    """
    layers = [layer for layer in (model, *model.submodules) if isinstance(layer, tf_keras.layers.Layer)]
    mixed = [(layer, layer.dtype_policy) for layer in layers if layer.compute_dtype != layer.variable_dtype]
    try:
        for layer, _ in mixed:
            layer._set_dtype_policy("float32")
        yield
    finally:
        for layer, policy in mixed:
            layer._set_dtype_policy(policy)
