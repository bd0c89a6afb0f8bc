"""What of a model learns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bertexp.config.schema import TrainableConfig
from bertexp.errors import ConfigError
from bertexp.models.bert.encoder import BertEncoder
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
    if isinstance(encoder, BertEncoder):
        if config.encoder == "top_layers":
            layers = encoder.transformer_layers
            count = count_top_layers(len(layers), config)
            for layer in [*encoder.embedding_layers, *layers[: len(layers) - count]]:
                layer.trainable = False
        if POOLINGS[model.pooling].reads != "pooler":
            encoder.pooler_layer.trainable = False
    elif config.encoder == "top_layers":
        raise ConfigError(
            "trainable=top_layers needs an encoder whose layers are known, and these weights stay an opaque SavedModel; "
            "choose trainable=full or trainable=frozen"
        )
    elif config.encoder == "full" and not encoder.trainable_variables:
        raise ConfigError("this SavedModel has no trainable variables; choose trainable=frozen")
    if config.encoder == "frozen":
        encoder.trainable = False
    trained, total = (
        sum(math.prod(variable.shape) for variable in variables)
        for variables in (model.trainable_variables, model.variables)
    )
    return {"trained": trained, "frozen": total - trained}
