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
    policies = [layer.dtype_policy for layer in layers]
    mixed = [policy.compute_dtype != policy.variable_dtype for policy in policies]
    full = tf_keras.mixed_precision.Policy("float32")
    try:
        for layer, is_mixed in zip(layers, mixed, strict=True):
            if is_mixed:
                layer._set_dtype_policy(full)
        yield
    finally:
        for layer, policy, is_mixed in zip(layers, policies, mixed, strict=True):
            if is_mixed:
                layer._set_dtype_policy(policy)
