"""bertexp: fine-tune, evaluate, track, sweep and ship BERT text models with one command.

Importing this package is light; TensorFlow loads when a run needs it.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "run": ("bertexp.run", "run"),
    "Trainer": ("bertexp.training.trainer", "Trainer"),
    "FineTuningModule": ("bertexp.training.module", "FineTuningModule"),
    "DataModule": ("bertexp.data.module", "DataModule"),
}


def __getattr__(name: str) -> Any:
    """Resolves the public names on first use, so that ``import bertexp`` stays light (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'bertexp' has no attribute {name!r}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
