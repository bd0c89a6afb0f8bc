"""What must go together, checked before TensorFlow is imported if it can be known by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertexp.config.schema import Config
from bertexp.errors import ConfigError

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset
    from bertexp.models.source.architecture import BertArchitecture


def check_examples(config: Config, dataset: TextDataset) -> None:
    """Raises ConfigError if a row of ``export.examples`` has not as many texts as the model will read."""
    texts = 1 + dataset.has_pair
    for row in config.export.examples:
        if len(row) != texts:
            raise ConfigError(
                f"export.examples has a row of {len(row)} texts, {row}, and the model of {dataset.name} reads {texts}: give "
                f"rows such as {['a text', 'another text'][:texts]}"
            )


def check_length(config: Config, architecture: BertArchitecture | None) -> None:
    """Raises ConfigError if the texts would be longer than the encoder can number their word pieces."""
    if architecture is not None and config.dataset.max_length > architecture.max_positions:
        raise ConfigError(
            f"dataset.max_length={config.dataset.max_length}, but the encoder has {architecture.max_positions} positions: "
            f"give dataset.max_length={architecture.max_positions} or less"
        )
