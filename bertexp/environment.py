"""The only first importer of TensorFlow: legacy Keras, log noise, devices, precision, seeds and determinism."""

from __future__ import annotations

import os


def prepare() -> None:
    """Sets what must be set before TensorFlow's first import, then imports it."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow  # noqa: F401
