"""The settings of what learns."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, setting


@dataclass
class TrainableConfig(Settings, group="trainable"):
    """Which part of the encoder learns; the head always does."""

    encoder: str = setting("full", "what learns of the encoder", choices=("full", "frozen", "top_layers"))
    top_layers: int | None = setting(None, "of top_layers: how many; null: half of them", unit="layers", above=0)
