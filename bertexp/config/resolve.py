"""From Hydra's composed config to checked dataclasses; hydra and omegaconf stop here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from bertexp.config.catalog import check_overrides, explain
from bertexp.config.doors import check_hydra_node
from bertexp.config.schema import Config
from bertexp.config.store import group_options, register, shipped_folder
from bertexp.config.words import read, write
from bertexp.errors import ConfigError, did_you_mean

PRETRAINED_LEARNING_RATE, PRETRAINED_EPOCHS = 3e-5, 5
RANDOM_LEARNING_RATE, RANDOM_EPOCHS = 1e-3, 20


def resolve(composed: DictConfig) -> Config:
    """Turns a composed config into ``Config``, fills what depends on other settings and checks combinations.

    Raises:
        ConfigError: a value is out of range or two settings contradict each other.
    """
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    _fill(config)
    for mistake in _contradictions(config):
        raise ConfigError(mistake)
    return config


def compose_config(overrides: Sequence[str]) -> tuple[Config, str]:
    """Composes ``overrides``; returns the config and the run folder it asks for.

    Raises:
        ConfigError: a word or a value is wrong, two settings contradict each other, or one of them names code.
    """
    register(overrides)
    check_overrides(overrides)
    around = GlobalHydra.instance().hydra  # a sweep's worker composes its trials inside a Hydra job
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(shipped_folder("conf")), version_base="1.3"):
            composed = compose("config", [read(word).text for word in overrides], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    finally:
        if around is not None:
            GlobalHydra.instance().initialize(around)
    check_hydra_node(composed.hydra)
    folder = composed.hydra.run.dir
    with read_write(composed), open_dict(composed):
        del composed["hydra"]
    return resolve(composed), folder


def words_of_model(config: Config) -> list[str]:
    """The words that choose ``config``'s model for another run, whatever words or recipe had chosen it."""
    name = config.model.name if config.model.name in group_options()["model"] else "custom"
    option, _ = compose_config([f"model={name}", write("task", config.task.name)])
    changed = {key: value for key, value in vars(config.model).items() if value != getattr(option.model, key)}
    return [f"model={name}", *(write(f"model.{key}", value) for key, value in changed.items())]


def flat_parameters(config: Config) -> dict[str, Any]:
    """Every setting of the run under its dotted name, as MLflow shows it: ``optimizer.learning_rate`` -> 3e-05."""
    groups = dataclasses.asdict(config)
    del groups["sweep"]
    return {f"{group}.{name}": value for group, settings in groups.items() for name, value in settings.items()}


def _fill(config: Config) -> None:
    model, task, pretrained = config.model, config.task.spec, config.model.source != "random"
    config.task.main_metric = config.task.main_metric or task.metrics[0]
    # what a model's YAML says is for tasks of one vector a text
    model.pooling = "none" if task.reads_positions else model.pooling or "pooler"
    if model.source == "random" and model.hidden_size and model.num_heads is None and model.hidden_size % 64 == 0:
        model.num_heads = model.hidden_size // 64
    rate = PRETRAINED_LEARNING_RATE if pretrained else RANDOM_LEARNING_RATE
    config.optimizer.learning_rate = config.optimizer.learning_rate or rate
    if config.trainer.max_epochs is None and config.trainer.max_steps is None:
        config.trainer.max_epochs = PRETRAINED_EPOCHS if pretrained else RANDOM_EPOCHS
    config.run.name = config.run.name or f"{model.name}-{config.dataset.name}-s{config.run.seed}"
    if config.run.rehearsal:
        _rehearse(config)


def _rehearse(config: Config) -> None:
    """Puts a small random encoder in the model's place and drops what belongs to the data; all else stays as it is."""
    model, trainable = config.model, config.trainable
    model.source, model.path, model.vocab_file = "random", None, None
    model.lowercase, model.strip_accents = None, None
    model.num_layers, model.hidden_size, model.num_heads = 2, 64, 1
    if trainable.top_layers:
        trainable.top_layers = min(trainable.top_layers, model.num_layers)
    config.dataset.submission = False


def _contradictions(config: Config) -> Iterator[str]:
    """What is wrong with settings that each are right, a sentence a mistake."""
    model, trainer, trainable, task = config.model, config.trainer, config.trainable, config.task.spec
    long_text, top_layers, monitor = config.dataset.long_text, trainable.top_layers, trainer.monitor
    if model.pooling == "none" and not task.reads_positions:
        yield f"task={task.name} reads one vector of a text, not model.pooling=none; leave model.pooling out"
    if long_text not in task.long_texts:
        why, cure = task.long_text_rule
        yield f"task={task.name} {why}, not with dataset.long_text={long_text}; leave it out{cure}"
    if trainer.jit_compile and long_text == "windows" and not task.reads_windows:
        yield (
            "trainer.jit_compile compiles for one number of rows, and with dataset.long_text=windows a text has any number; "
            "drop one of them"
        )
    if model.source == "random" and trainable.encoder == "frozen" and not config.run.rehearsal:
        yield (
            "trainable=frozen keeps the random weights of model.source=random as they are; take a pretrained model "
            "or trainable=full"
        )
    if top_layers is not None and trainable.encoder != "top_layers":
        without_effect = f"trainable.top_layers={top_layers} has no effect with trainable={trainable.encoder}"
        yield f"{without_effect}; choose trainable=top_layers"
    if top_layers and model.num_layers and top_layers > model.num_layers:
        too_many = f"trainable.top_layers={top_layers} is more than the model's {model.num_layers} layers"
        yield f"{too_many}; choose trainable=full"
    if trainer.fast_dev_run and trainer.resume:
        yield "trainer.fast_dev_run keeps nothing and cannot go with trainer.resume; drop one of them"
    if trainer.early_stopping_patience and trainer.overfit_batches:
        yield "trainer.overfit_batches and trainer.early_stopping_patience contradict each other; drop one"
    if monitor is not None and not monitor.startswith("val/"):
        yield f"trainer.monitor={monitor} must be a validation metric such as val/accuracy or val/loss"
    if monitor is not None and monitor not in (known := [f"val/{name}" for name in task.metrics]):
        hint = f"there are {', '.join(known)}{did_you_mean(monitor, known)}"
        yield f"trainer.monitor={monitor} is not measured by task={task.name}; {hint}"
