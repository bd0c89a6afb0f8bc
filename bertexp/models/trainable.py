"""What of a model learns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bertexp.config.schema import TrainableConfig
from bertexp.errors import ConfigError
from bertexp.models.poolings.spec import POOLINGS
from bertexp.models.source.locate import count_top_layers

if TYPE_CHECKING:
    from bertexp.models.text_model import TextClassifier


def set_trainable(model: TextClassifier, config: TrainableConfig) -> dict[str, int]:
    """Sets which variables train: ``model.trainable_variables`` holds exactly those afterwards.

    The head always does. With top_layers the embeddings and the lower layers do not, the pooler does. A pooler that the
    pooling does not read never trains, for it has no gradient.

    Returns:
      numbers of weights: "trained" and "frozen".

    Raises:
      ConfigError: the encoder's layers cannot be told apart, or it has fewer than asked for.
    """
    model.trainable = True
    encoder = model.encoder
    embeddings, layers, pooler = encoder.layers
    if config.encoder == "top_layers":
        if not layers:
            raise ConfigError(
                "trainable=top_layers needs an encoder whose layers can be told apart, and here they cannot "
                f"({encoder.fallback}); choose trainable=full or trainable=frozen"
            )
        for layer in [*embeddings, *layers[: len(layers) - count_top_layers(len(layers), config)]]:
            layer.trainable = False
    if config.encoder == "full" and not encoder.trainable_variables:
        raise ConfigError("this SavedModel has no trainable variables; choose trainable=frozen")
    if pooler is not None and POOLINGS[model.pooling].reads != "pooler":
        pooler.trainable = False
    if config.encoder == "frozen":
        encoder.trainable = False
    trained, total = (
        sum(math.prod(variable.shape) for variable in variables)
        for variables in (model.trainable_variables, model.variables)
    )
    return {"trained": trained, "frozen": total - trained}
