"""What a run will read, download, train and write, and whether it goes together; found in a second, without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bertexp.config.resolve import compose_config
from bertexp.config.schema import Config
from bertexp.config.store import run_line
from bertexp.config.words import only, replace, without
from bertexp.data.find.locate import DatasetSource, locate_dataset
from bertexp.errors import BertexpError, ConfigError, EnvironmentProblem, NetworkError
from bertexp.models.source.locate import ModelSource, count_trained, locate_model, read_source
from bertexp.system import downloads
from bertexp.system.console import labelled
from bertexp.system.machine import find_nvidia

if TYPE_CHECKING:
    from bertexp.data.table import TextDataset


@dataclasses.dataclass(frozen=True)
class Plan:
    """The located inputs of a run."""

    dataset: DatasetSource
    model: ModelSource

    @property
    def urls(self) -> list[str]:
        """What must be downloaded."""
        return [*self.dataset.urls, *self.model.urls]

    def fetch(self, config: Config) -> Plan:
        """Brings the weights to this machine; the plan that is returned knows what lies in them."""
        self.model.fetch()
        return dataclasses.replace(self, model=read_source(self.model, config.model))


def make_plan(config: Config, words: Sequence[str] | None = None) -> Plan:
    """Locates data and weights and, if something must be downloaded, tries the addresses together.

    Args:
        words: those of the run, from which the message of a failure makes a line that runs without a network.

    Raises:
        BertexpError: a path, a column, an architecture or an address is wrong; nothing has been written yet.
    """
    if config.trainer.accelerator == "gpu" and not find_nvidia():
        raise EnvironmentProblem(
            "trainer.accelerator=gpu, but this machine shows no NVIDIA GPU; use trainer.accelerator=auto, or look what "
            "`python -m bertexp doctor` says"
        )
    plan = _locate(config)
    check_length(config, plan.model.positions)
    _require_network(plan, words)
    return plan


def check_examples(config: Config, dataset: TextDataset) -> None:
    """Raises ConfigError if a row of ``export.examples`` has not as many texts as the model will read."""
    texts = 1 + dataset.has_pair
    for row in config.export.examples:
        if len(row) != texts:
            raise ConfigError(
                f"export.examples has a row of {len(row)} texts, {row}, and the model of {dataset.name} reads {texts}: give "
                f"rows such as {['a text', 'another text'][:texts]}"
            )


def check_length(config: Config, positions: int | None) -> None:
    """Raises ConfigError if the texts would be longer than the encoder can number their word pieces."""
    if positions is not None and config.dataset.max_length > positions:
        raise ConfigError(
            f"dataset.max_length={config.dataset.max_length}, but the encoder has {positions} positions: give "
            f"dataset.max_length={positions} or less"
        )


def _locate(config: Config) -> Plan:
    return Plan(
        locate_dataset(config.dataset, config.run.cache_dir, config.task.name, config.run.rehearsal),
        locate_model(config.model, config.run.cache_dir),
    )


def describe_plan(plan: Plan, config: Config, folder: str) -> str:
    """The plan in words, for ``run.dry=true``; reads local data to count rows, downloads nothing."""
    lines = [labelled("reads", plan.dataset.description), labelled("", plan.model.description)]
    lines += [labelled("downloads", url) for url in plan.urls or ["nothing"]]
    classes = None
    if plan.dataset.urls:
        lines.append(labelled("rows", "known after the download"))
    else:
        data = plan.dataset.load()
        classes = len(data.label_names)
        counts = (f"{split} {table.num_rows:,}" for split, table in data.splits.items())
        lines.append(labelled("rows", ", ".join(counts)))
        lines += [labelled("note", note) for note in data.notes]
        least = "at least " if data.spec.reads_windows else ""  # a long context has several windows
        lines.append(labelled("steps", f"{least}{_describe_length(config, data.splits['train'].num_rows)}"))
    if plan.model.architecture is None:
        lines.append("parameters known after the weights are read")
    else:
        units = config.task.spec.count_units(config.task, classes or 1)
        pooling = config.model.pooling or "pooler"
        trained, frozen = count_trained(plan.model.architecture, config.trainable, units, pooling)
        lines.append(f"parameters {trained:,} trained, {frozen:,} frozen (trainable={config.trainable.encoder})")
    lines.append(labelled("writes", folder))
    if config.tracking.name == "mlflow":
        store = config.tracking.uri or os.path.join(os.path.abspath(config.run.outputs_dir), "mlflow.db")
        lines.append(labelled("tracks", f"{store} (experiment {config.tracking.experiment})"))
    return "\n".join(lines)


def _describe_length(config: Config, rows: int) -> str:
    trainer, optimizer = config.trainer, config.optimizer
    length = trainer.run_length(-(-rows // trainer.batch_size))
    warmup = optimizer.count_warmup(length.total_steps)
    return (
        f"{length.total_steps:,} ({length.max_epochs} epochs of {length.steps_per_epoch:,}), "
        f"{warmup:,} of them warm-up to {optimizer.learning_rate:g}"
    )


def _require_network(plan: Plan, words: Sequence[str] | None) -> None:
    failed = {url: why for url, why in downloads.probe(plan.urls).items() if why is not None}
    if not failed:
        return
    addresses = " and ".join(f"{url} ({why})" for url, why in failed.items())
    model, data = (any(url in failed for url in urls) for urls in (plan.model.urls, plan.dataset.urls))
    ways = ["model.path=<folder, archive or mirror address>"] if model else []
    ways += ["dataset.path=<local copy> or dataset.url=<mirror>"] if data else []
    offline = next(filter(_runs_offline, _offline_words(words, model, data)), None) if words is not None else None
    cure = f", or run offline right away: {run_line(*offline)}" if offline is not None else ""
    raise NetworkError(f"cannot reach {addresses}; give {' and '.join(ways)}{cure}")


def _offline_words(words: Sequence[str], model: bool, data: bool) -> Iterator[list[str]]:
    """Runs without what cannot be reached, the most alike first: random weights, the embedded reviews, a rehearsal."""
    kept = [*only(words, "model"), "dataset=reviews"] if data else list(words)
    if model:
        yield replace(without(kept, "model.path"), ["model.source=random"])
        yield replace(without(kept, "model", "trainable"), ["model=tiny", "trainable=full"])
    else:
        yield kept
    yield replace(words, ["debug=fast"])
    yield []


def _runs_offline(words: Sequence[str]) -> bool:
    try:
        return not _locate(compose_config(words)[0]).urls
    except BertexpError:
        return False
