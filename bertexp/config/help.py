"""The page that ``python -m bertexp --help`` shows."""

from __future__ import annotations

from bertexp.config.store import group_options

_HEAD = """\
bertexp fine-tunes, evaluates, tracks and ships BERT text models.

  python -m bertexp [group=option ...] [setting=value ...]     train, test, export, verify, track
  python -m bertexp -m sweep=lr_warmup [...]                   a sweep: pruned, resumable, any number of workers
  python -m bertexp encode out=FOLDER [...]                    large data: sharded, encoded once, trained from often
  python -m bertexp compare RUN RUN ...                        what differs, with intervals and paired tests
  python -m bertexp predict RUN "text" ...                     RUN: last, a run folder or an MLflow run id
  python -m bertexp ui                                         the runs in the MLflow UI
  python -m bertexp doctor                                     versions, devices, store, caches

Groups (group=option):
"""

_TAIL = """
Settings (setting=value): --cfg job shows all of them with their values; run.dry=true shows the plan of a run.
  dataset.path=FOLDER  dataset.limit_train=N  dataset.max_length=128  model.source=tfhub|google|huggingface|random
  model.path=FOLDER_OR_HANDLE  optimizer.learning_rate=3e-5  optimizer.warmup_fraction=0.1  trainer.max_epochs=5
  trainer.batch_size=32  trainer.resume=last  run.seed=42  tracking.uri=ADDRESS

Hydra's own flags: --cfg job, --multirun/-m (a sweep), --info, --shell-completion, --config-dir.
  Tab completion, of the command bertexp that the package installs: eval "$(bertexp -sc install=bash)"
Examples:
  python -m bertexp
  python -m bertexp model=small_bert_l4 dataset=imdb
  python -m bertexp -m model=small_bert_l2,small_bert_l4 optimizer.learning_rate=3e-5,1e-4 dataset=imdb
  python -m bertexp model=minilm_l6 dataset=mrpc model.path=weights/minilm dataset.path=glue/MRPC"""


def help_text() -> str:
    """Groups and options with the sentence that each YAML's first line gives."""
    lines = []
    for group, options in group_options().items():
        lines.append(f"  {group}")
        width = max((len(name) for name in options), default=0)
        lines += [f"    {name:<{width}}  {sentence}".rstrip() for name, sentence in options.items()]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL
