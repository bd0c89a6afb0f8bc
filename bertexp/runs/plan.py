"""What a run will read, download, train and write; found in a second, without TensorFlow."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bertexp.commands.doctor import find_nvidia
from bertexp.config.run_length import count_warmup_steps, make_run_length
from bertexp.config.schema import Config
from bertexp.data.find.locate import DatasetSource, locate_dataset
from bertexp.errors import EnvironmentProblem, NetworkError
from bertexp.models.source.locate import ModelSource, count_trained, locate_model
from bertexp.system import downloads

PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """The located inputs of a run."""

    dataset: DatasetSource
    model: ModelSource


def make_plan(config: Config) -> Plan:
    """Locates data and weights and, where something must be downloaded, tries the addresses together.

    Raises:
        BertexpError: a path, a column, an architecture or an address is wrong; nothing has been written yet.
    """
    if config.trainer.accelerator == "gpu" and not find_nvidia():
        raise EnvironmentProblem(
            "trainer.accelerator=gpu, but this machine shows no NVIDIA GPU; use trainer.accelerator=auto, or look what "
            "`python -m bertexp doctor` says"
        )
    plan = Plan(
        locate_dataset(config.dataset, config.run.cache_dir, config.task.name, config.run.rehearsal),
        locate_model(config.model, config.run.cache_dir),
    )
    _require_network(plan, config)
    return plan


def describe_plan(plan: Plan, config: Config, folder: str) -> str:
    """The plan in words, for ``run.dry=true``; reads local data to count rows, downloads nothing."""
    lines = [f"reads      {plan.dataset.description}", f"           {plan.model.description}"]
    urls = [*plan.dataset.urls, *plan.model.urls]
    lines += [f"downloads  {url}" for url in urls] or ["downloads  nothing"]
    classes = None
    if plan.dataset.urls:
        lines.append("rows       known after the download")
    else:
        data = plan.dataset.load()
        classes = len(data.label_names)
        lines.append("rows       " + ", ".join(f"{split} {table.num_rows:,}" for split, table in data.splits.items()))
        least = "at least " if data.task == "question_answering" else ""  # a long context has several windows
        lines.append(f"steps      {least}{_describe_length(config, data.splits['train'].num_rows)}")
    if plan.model.architecture is None:
        lines.append("parameters known after the weights are read")
    else:
        units = config.task.spec.count_units(config.task, classes or 1)
        trained, frozen = count_trained(
            plan.model.architecture, config.trainable, units, config.model.pooling or "pooler"
        )
        lines.append(f"parameters {trained:,} trained, {frozen:,} frozen (trainable={config.trainable.encoder})")
    lines.append(f"writes     {folder}")
    if config.tracking.name == "mlflow":
        store = config.tracking.uri or os.path.join(os.path.abspath(config.run.outputs_dir), "mlflow.db")
        lines.append(f"tracks     {store} (experiment {config.tracking.experiment})")
    return "\n".join(lines)


def _describe_length(config: Config, rows: int) -> str:
    trainer, optimizer = config.trainer, config.optimizer
    length = make_run_length(trainer, -(-rows // trainer.batch_size))
    warmup = count_warmup_steps(length.total_steps, optimizer.warmup_fraction, optimizer.warmup_steps)
    return (
        f"{length.total_steps:,} ({length.max_epochs} epochs of {length.steps_per_epoch:,}), "
        f"{warmup:,} of them warm-up to {optimizer.learning_rate:g}"
    )


def _require_network(plan: Plan, config: Config) -> None:
    urls = [*plan.dataset.urls, *plan.model.urls]
    if not urls:
        return
    failed = {url: why for url, why in downloads.probe(urls, PROBE_SECONDS).items() if why is not None}
    if not failed:
        return
    addresses = " and ".join(f"{url} ({why})" for url, why in failed.items())
    ways = []
    offline = [f"model={config.model.name}"]
    if any(url in failed for url in plan.model.urls):
        ways.append("model.path=<folder, archive or mirror address>")
        known = config.model.num_layers and config.model.hidden_size
        offline = [*offline, "model.source=random"] if known else ["model=tiny"]
    if any(url in failed for url in plan.dataset.urls):
        ways.append("dataset.path=<local copy> or dataset.url=<mirror>")
        offline.append("dataset=reviews")
    else:
        offline.append(f"dataset={config.dataset.name}")
    raise NetworkError(
        f"cannot reach {addresses}; give {' and '.join(ways)}, or run offline right away: "
        f"python -m bertexp {' '.join(offline)}"
    )
