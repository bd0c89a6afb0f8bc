"""The settings of the export."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, setting


@dataclass
class ExportConfig(Settings, group="export"):
    """The SavedModel that a run ships."""

    enabled: bool = setting(True, "whether the run exports its model")
    tolerance: float = setting(
        1e-5, "largest difference of the reloaded model's probabilities from the trained one's", above=0
    )
    examples: list[list[str]] = setting(list, "rows of one text or two that the reloaded model answers at the end")
