"""A run as a Hydra job for another sweeper than bertexp's; started by sweep_peers.py."""

from __future__ import annotations

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from bertexp.config.resolve import resolve
from bertexp.config.store import register, shipped_folder
from bertexp.runs.runner import execute


@hydra.main(config_path=str(shipped_folder("conf")), config_name="config", version_base="1.3")
def train(composed: DictConfig) -> float | None:
    folder = Path(HydraConfig.get().runtime.output_dir, f"trial-{HydraConfig.get().job.num}")
    result = execute(resolve(composed), folder, list(HydraConfig.get().overrides.task))
    return result.objective if result else None


if __name__ == "__main__":
    register()
    train()
