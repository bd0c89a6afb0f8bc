"""bertexp: fine-tune, evaluate, track and ship BERT text models with one command.

Importing this package is light; a name that needs TensorFlow imports it, prepared, on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LIGHT = {
    "run": "bertexp.runner",
    "BertexpError": "bertexp.errors",
    "DatasetConfig": "bertexp.config.schema",
    "ModelConfig": "bertexp.config.schema",
    "TrainerConfig": "bertexp.config.schema",
    "locate_dataset": "bertexp.data.datasets",
    "locate_model": "bertexp.models.sources",
}
_HEAVY = {
    "AdamW": "bertexp.training.optimizer",
    "Callback": "bertexp.training.callbacks",
    "Classification": "bertexp.tasks.classification",
    "DataModule": "bertexp.data.module",
    "FineTuningModule": "bertexp.training.module",
    "TextClassifier": "bertexp.models.classifier",
    "Tokenizer": "bertexp.data.tokens.tokenizer",
    "Trainer": "bertexp.training.trainer",
    "load_encoder": "bertexp.models.pretrained",
    "MultiLabel": "bertexp.tasks.multi_label",
    "Regression": "bertexp.tasks.regression",
    "Schedule": "bertexp.training.schedule",
}
__all__ = ["__version__", *_LIGHT, *_HEAVY]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for (PEP 562)."""
    if name in _HEAVY:
        from bertexp import environment

        environment.prepare()
    elif name not in _LIGHT:
        raise AttributeError(f"module 'bertexp' has no attribute {name!r}")
    value = getattr(importlib.import_module((_LIGHT | _HEAVY)[name]), name)
    globals()[name] = value
    return value
