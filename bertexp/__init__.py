"""bertexp: fine-tune, evaluate, track and ship BERT text models with one command.

Importing this package is light; a name that needs TensorFlow imports it, prepared, on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LIGHT = {
    "run": "bertexp.runs.runner",
    "register_task": "bertexp.tasks.registry",
    "AnswerColumn": "bertexp.interfaces",
    "BertexpError": "bertexp.errors",
    "DatasetConfig": "bertexp.config.schema",
    "ModelConfig": "bertexp.config.schema",
    "TaskConfig": "bertexp.config.schema",
    "TaskSpec": "bertexp.tasks.spec",
    "TrainerConfig": "bertexp.config.schema",
    "locate_dataset": "bertexp.data.find.locate",
    "locate_model": "bertexp.models.source.locate",
}
_HEAVY = {
    "AdamW": "bertexp.training.optimizers.adamw",
    "Callback": "bertexp.training.callbacks",
    "Classification": "bertexp.tasks.classification.task",
    "DataModule": "bertexp.data.examples.module",
    "FineTuningModule": "bertexp.training.module",
    "TextClassifier": "bertexp.models.text_model",
    "Tokenizer": "bertexp.data.tokens.tokenizer",
    "Trainer": "bertexp.training.trainer",
    "load_encoder": "bertexp.models.pretrained",
    "MultiLabel": "bertexp.tasks.multi_label.task",
    "Regression": "bertexp.tasks.regression.task",
    "Schedule": "bertexp.training.schedule",
}
__all__ = ["__version__", *_LIGHT, *_HEAVY]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for (PEP 562)."""
    if name in _HEAVY:
        from bertexp.system import devices

        devices.prepare()
    elif name not in _LIGHT:
        raise AttributeError(f"module 'bertexp' has no attribute {name!r}")
    value = getattr(importlib.import_module((_LIGHT | _HEAVY)[name]), name)
    globals()[name] = value
    return value
