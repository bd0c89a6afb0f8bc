"""Every setting of a run: its name, type, default, unit and range, in one place.

The dataclasses are OmegaConf structured configs, so an unknown key or a wrong type fails during composition. Ranges
and combinations are checked in ``__post_init__``, which runs when ``resolve.py`` turns the composed config into these
objects. This module imports nothing heavy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from bertexp.errors import ConfigError, did_you_mean


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}={value} is not one of {', '.join(allowed)}{did_you_mean(str(value), allowed)}")


def _positive(name: str, value: float | None) -> None:
    _require(value is None or value > 0, f"{name}={value} must be greater than 0")


def _fraction(name: str, value: float | None) -> None:
    _require(value is None or 0 <= value < 1, f"{name}={value} must be at least 0 and less than 1")


@dataclass
class RunConfig:
    """What concerns the run as a whole."""

    seed: int = 42  # weights of new layers, batch order, dropout
    name: str | None = None  # shown in MLflow; null: <model>-<dataset>-s<seed>
    dry: bool = False  # print the plan, import no TensorFlow, write nothing
    rehearsal: bool = False  # a random encoder of 2 layers and 64 packaged rows stand in (debug=fast)
    outputs_dir: str = "outputs"  # run folders, the default MLflow store and the caches lie here

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**31, f"run.seed={self.seed} must lie in 0 .. 2147483647")

    @property
    def cache_dir(self) -> str:
        """Absolute folder of downloads and token caches."""
        return os.path.join(os.path.abspath(self.outputs_dir), "cache")


@dataclass
class DatasetConfig:
    """Which texts and labels, how they are split and how much of them is used."""

    name: str = "reviews"  # one of the files in conf/dataset
    path: str | None = None  # folder, archive or file on disk; null: embedded or downloaded
    url: str | None = None  # download address (a mirror may be given); null: the official one
    train_file: str | None = None  # files, squad, tfrecord: names inside `path`, or paths of their own
    val_file: str | None = None
    test_file: str | None = None
    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str = "label"
    words_column: str | None = None  # tagging: a name (null: words or tokens); in CoNLL files a number from 0 (null: 0)
    tags_column: str | None = None  # tagging: a name (null: tags or ner_tags); in CoNLL files a number (null: the last)
    label_names: list[str] | None = None  # order of the classes; null: sorted as found in the training split
    val_fraction: float = 0.2  # held out of the training rows where there is no validation split
    test_fraction: float = 0.2  # files, squad: held out where there is no test file
    split_seed: int = 42
    stratify: bool = True
    limit_train: int | None = None  # at most so many rows, drawn stratified with split_seed
    limit_val: int | None = None
    limit_test: int | None = None
    label_separator: str = ","  # multi_label: between the classes in one cell of a csv or tsv file
    max_length: int = 128  # word pieces per row, [CLS] and [SEP] included
    long_text: str = "truncate_head"  # to the head | truncate_tail | head_tail (a quarter, the rest) | windows
    window_overlap: int | None = (
        None  # windows, question_answering: pieces that neighbours share; null: a quarter of max_length
    )
    group_by_length: bool = True  # false: uniform shuffling
    on_bad_row: str = "error"  # error | skip
    submission: bool = False  # GLUE: predict its unlabelled test too, and write the file to submit

    def __post_init__(self) -> None:
        _one_of("dataset.on_bad_row", self.on_bad_row, ("error", "skip"))
        _one_of("dataset.long_text", self.long_text, ("truncate_head", "truncate_tail", "head_tail", "windows"))
        _require(
            self.window_overlap is None or 0 <= self.window_overlap <= self.max_length // 2,
            f"dataset.window_overlap={self.window_overlap} must lie in 0 .. {self.max_length // 2}, half of dataset.max_length",
        )
        _require(
            len(self.label_separator) == 1, f"dataset.label_separator={self.label_separator!r} must be one character"
        )
        _fraction("dataset.val_fraction", self.val_fraction)
        _fraction("dataset.test_fraction", self.test_fraction)
        _require(
            self.val_fraction + self.test_fraction < 1,
            f"dataset.val_fraction={self.val_fraction} and dataset.test_fraction={self.test_fraction} leave no rows to train on",
        )
        for split in ("train", "val", "test"):
            _positive(f"dataset.limit_{split}", getattr(self, f"limit_{split}"))
        _require(
            8 <= self.max_length <= 512,
            f"dataset.max_length={self.max_length} must lie in 8 .. 512, the positions that BERT knows",
        )

    @property
    def overlap(self) -> int:
        """Pieces that neighbouring windows share."""
        return self.max_length // 4 if self.window_overlap is None else self.window_overlap


@dataclass
class ModelConfig:
    """The encoder, where its weights come from, and the head on top."""

    name: str = "tiny"
    source: str = "random"  # tfhub | google | huggingface | random
    path: str | None = None  # handle, address, folder, archive or file; null: from the two templates below
    num_layers: int | None = None  # null: as the source says
    hidden_size: int | None = None
    num_heads: int | None = None  # null: hidden_size / 64, or as the source says
    type_vocab_size: int | None = None  # type embeddings, 0 for none (DistilBERT); null: as the source says, or 2
    tfhub_handle: str | None = None  # template over {num_layers} {hidden_size} {num_heads}
    tfhub_preprocess: str | None = (
        None  # handle, folder or archive of the preprocessing SavedModel; vocab_file replaces it
    )
    google_checkpoint: str | None = None  # address template of a Google checkpoint archive
    huggingface_repo: str | None = None  # owner/name on the Hugging Face hub
    vocab_file: str | None = None  # null: the source's, or the embedded one for random weights
    lowercase: bool | None = None  # null: as the source says
    pooling: str | None = (
        None  # pooler | cls | mean | max; null: pooler. Tasks that read every word (tagging, …) set none
    )
    dropout: float = 0.1  # before the head
    encoder_dropout: float | None = None  # hidden and attention dropout; null: as the source says (0.1)

    def __post_init__(self) -> None:
        _one_of("model.source", self.source, ("tfhub", "google", "huggingface", "random"))
        if self.pooling is not None:
            _one_of("model.pooling", self.pooling, ("pooler", "cls", "mean", "max", "none"))
        _fraction("model.dropout", self.dropout)
        _fraction("model.encoder_dropout", self.encoder_dropout)
        for key in ("num_layers", "hidden_size", "num_heads"):
            _positive(f"model.{key}", getattr(self, key))
        _require(
            self.type_vocab_size in (None, 0, 2),
            f"model.type_vocab_size={self.type_vocab_size} must be 0 or 2: a pair has two types",
        )
        if self.hidden_size and self.num_heads:
            _require(
                self.hidden_size % self.num_heads == 0,
                f"model.hidden_size={self.hidden_size} cannot be divided into model.num_heads={self.num_heads}",
            )


METRICS = {  # of a labelled split, by task; the first is the main one unless task.main_metric names another
    "classification": ("accuracy", "precision", "recall", "f1", "mcc", "roc_auc", "loss"),
    "multi_label": ("f1", "f1_macro", "precision", "recall", "exact_match", "roc_auc", "loss"),
    "regression": ("pearson", "spearman", "rmse", "mae", "loss"),
    "tagging": ("f1", "precision", "recall", "accuracy", "loss"),
    "question_answering": ("f1", "exact_match", "loss"),
}
TOKEN_TASKS = ("tagging", "question_answering")  # they read the encoder's output at every position


def metric_mode(name: str) -> str:
    """``min`` for losses, errors and durations, ``max`` for everything else."""
    return "min" if name.endswith(("loss", "rmse", "mae", "_ms")) else "max"


@dataclass
class TaskConfig:
    """What is predicted from a text."""

    name: str = "classification"  # classification | multi_label | regression | tagging | question_answering
    binary_head: str = "sigmoid"  # two classes: sigmoid (one logit) | softmax (two logits)
    threshold: float = 0.5  # multi_label: a class is given from this probability on
    max_answer_length: int = 30  # question_answering: word pieces
    main_metric: str | None = None  # null: the task's own; chooses the checkpoint unless trainer.monitor does

    def __post_init__(self) -> None:
        _one_of("task.name", self.name, tuple(METRICS))
        _one_of("task.binary_head", self.binary_head, ("sigmoid", "softmax"))
        _positive("task.max_answer_length", self.max_answer_length)
        _require(0 < self.threshold < 1, f"task.threshold={self.threshold} must lie between 0 and 1")
        if self.main_metric is not None:
            _one_of("task.main_metric", self.main_metric, METRICS[self.name])

    def count_units(self, classes: int) -> int:
        """How many logits the head gives, for each text or each word of it."""
        if self.name == "classification" and classes == 2 and self.binary_head == "sigmoid":
            return 1
        return {"regression": 1, "question_answering": 2}.get(self.name, classes)


@dataclass
class OptimizerConfig:
    """The update rule and its learning-rate schedule."""

    name: str = "adamw"  # adamw (equals Model Garden's AdamWeightDecay) | adam
    learning_rate: float | None = None  # peak; null: 3e-5 for pretrained weights, 1e-3 for random ones
    schedule: str = "linear"  # linear (to zero) | constant
    warmup_fraction: float = 0.1  # of all steps
    warmup_steps: int | None = None  # in place of warmup_fraction
    warmup_form: str = "bert"  # bert (the decay runs from step 0) | continuous (it starts after warm-up)
    weight_decay: float = 0.01  # decoupled; not on biases and LayerNorm; adamw only
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        _one_of("optimizer.name", self.name, ("adamw", "adam"))
        _one_of("optimizer.schedule", self.schedule, ("linear", "constant"))
        _one_of("optimizer.warmup_form", self.warmup_form, ("bert", "continuous"))
        _require(
            self.learning_rate is None or 0 < self.learning_rate <= 1,
            f"optimizer.learning_rate={self.learning_rate} must be greater than 0 and at most 1",
        )
        _fraction("optimizer.warmup_fraction", self.warmup_fraction)
        _fraction("optimizer.beta_1", self.beta_1)
        _fraction("optimizer.beta_2", self.beta_2)
        _positive("optimizer.epsilon", self.epsilon)
        _require(self.weight_decay >= 0, f"optimizer.weight_decay={self.weight_decay} must not be negative")
        _require(
            self.warmup_steps is None or self.warmup_steps >= 0,
            f"optimizer.warmup_steps={self.warmup_steps} must not be negative",
        )


@dataclass
class TrainableConfig:
    """Which part of the encoder learns; the head always does."""

    encoder: str = "full"  # full | frozen | top_layers
    top_layers: int | None = None  # top_layers: how many; null: half of them

    def __post_init__(self) -> None:
        _one_of("trainable.encoder", self.encoder, ("full", "frozen", "top_layers"))
        _positive("trainable.top_layers", self.top_layers)


@dataclass
class TrainerConfig:
    """The loop: how long, how large, how exact, and what is kept."""

    max_epochs: int | None = None  # null: 5 for pretrained weights, 20 for random ones
    max_steps: int | None = None  # ends earlier where given; the schedule spans what is really run
    batch_size: int = 32
    eval_batch_size: int = 64
    accumulate_grad_batches: int = 1
    gradient_clip_norm: float | None = 1.0  # global norm; null: off
    precision: str = "float32"  # float32 | mixed_bfloat16 | mixed_float16
    accelerator: str = "auto"  # auto | cpu | gpu
    activation_cache_gb: float = (
        10.0  # disk for the outputs of frozen layers, which then run once; 0: they run every epoch
    )
    jit_compile: bool = (
        False  # the step through XLA: for GPUs; compiles for each batch width, so the first epoch is slower
    )
    deterministic: bool = False  # bitwise equal repeats, somewhat slower
    validate_every_epochs: int = 1
    validate_every_steps: int | None = None  # in place of epochs
    log_every_steps: int = 10
    monitor: str | None = None  # null: the task's main val/ metric, printed at the start
    monitor_mode: str | None = None  # min | max; null: the task's for its own metrics
    early_stopping_patience: int | None = None  # validations without improvement; null: off
    restore_best: bool = True  # test and export the best checkpoint instead of the last weights
    checkpoint_every_steps: int | None = None  # null: at the end of each epoch
    keep_checkpoints: int = 2  # besides the best one
    resume: str | None = None  # last | a run folder | an MLflow run id
    fast_dev_run: bool = False  # one batch of each stage, nothing tracked or kept
    limit_train_batches: int | None = None
    limit_val_batches: int | None = None
    limit_test_batches: int | None = None
    overfit_batches: int | None = None  # train and validate on the same few batches

    def __post_init__(self) -> None:
        _one_of("trainer.precision", self.precision, ("float32", "mixed_bfloat16", "mixed_float16"))
        _one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        _require(
            self.activation_cache_gb >= 0,
            f"trainer.activation_cache_gb={self.activation_cache_gb} must not be negative",
        )
        if self.monitor_mode is not None:
            _one_of("trainer.monitor_mode", self.monitor_mode, ("min", "max"))
        for key in [
            "max_epochs",
            "max_steps",
            "batch_size",
            "eval_batch_size",
            "accumulate_grad_batches",
            "gradient_clip_norm",
            "validate_every_epochs",
            "validate_every_steps",
            "log_every_steps",
            "early_stopping_patience",
            "checkpoint_every_steps",
            "keep_checkpoints",
            "limit_train_batches",
            "limit_val_batches",
            "limit_test_batches",
            "overfit_batches",
        ]:
            _positive(f"trainer.{key}", getattr(self, key))


@dataclass
class TrackingConfig:
    """Where parameters, metrics, figures and the model are recorded."""

    name: str = "mlflow"  # mlflow | none
    uri: str | None = None  # null: sqlite under run.outputs_dir, as an absolute address
    experiment: str = "bertexp"
    log_model: bool = True

    def __post_init__(self) -> None:
        _one_of("tracking.name", self.name, ("mlflow", "none"))


@dataclass
class ExportConfig:
    """The SavedModel that a run ships."""

    enabled: bool = True
    tolerance: float = 1e-5  # largest difference between the reloaded and the trained model's probabilities
    examples: list[list[str]] = field(default_factory=list)  # rows of one or two texts that the reloaded model answers

    def __post_init__(self) -> None:
        _positive("export.tolerance", self.tolerance)


@dataclass
class SweepConfig:
    """A search over settings, with ``-m``; what is swept may also stand on the command line in Hydra's sweep syntax."""

    name: str | None = None  # of folder and study; null: <model>_<dataset>_<what is swept>_<hash of the fixed settings>
    space: dict[str, str] = field(default_factory=dict)  # dotted name -> interval, range or choice
    trials: int | None = None  # in all, also over several starts; null: every point of a grid, else 20
    timeout_seconds: float | None = None  # no trial starts later than so long after this command's start
    sampler: str | None = (
        None  # tpe | random | grid | qmc | cmaes | gp; null: grid where every value is listed, else tpe
    )
    pruner: str = "none"  # none | median | successive_halving | hyperband
    reports: int = 9  # validations of a pruned trial, where trainer.validate_every_steps does not say
    objective: str | None = None  # a val/ metric; null: trainer.monitor, else the task's main metric
    objectives: list[str] | None = None  # several at once, such as [val/accuracy,predict/latency_ms]: a Pareto front
    direction: str | None = None  # maximize | minimize; null: as the metric's name says, printed at the start
    seeds: int = 1  # runs in a trial, with run.seed, run.seed + 1, …; the objective is their mean
    start_from: list[str] = field(default_factory=list)  # first trials: recipe, or "key=value key=value"
    max_failures: int = 3  # the sweep stops with the one after so many
    export: str = "best"  # best | all | none: which trials are tested, exported and verified
    storage: str | None = None  # null: a journal file in the sweep's folder; postgresql://… or mysql://… for a cluster
    workers: int | None = None  # jobs given to Hydra's launcher; null: its n_jobs where it has one, else 1
    lease_seconds: float = 60.0  # a worker on another machine that was not heard of for so long is taken for dead

    def __post_init__(self) -> None:
        samplers = ("tpe", "random", "grid", "qmc", "cmaes", "gp")
        if self.sampler is not None:
            _one_of("sweep.sampler", self.sampler, samplers)
        _one_of("sweep.pruner", self.pruner, ("none", "median", "successive_halving", "hyperband"))
        if self.direction is not None:
            _one_of("sweep.direction", self.direction, ("maximize", "minimize"))
        _one_of("sweep.export", self.export, ("best", "all", "none"))
        for key in ("trials", "timeout_seconds", "reports", "seeds", "workers", "lease_seconds"):
            _positive(f"sweep.{key}", getattr(self, key))
        _require(self.max_failures >= 0, f"sweep.max_failures={self.max_failures} must not be negative")
        _require(
            not (self.objective and self.objectives),
            "sweep.objective and sweep.objectives are both given; drop one of them",
        )
        _require(
            not (self.objectives and len(self.objectives) > 1 and self.pruner != "none"),
            f"sweep.pruner={self.pruner} cannot judge several objectives at once; set sweep.pruner=none or one "
            "sweep.objective",
        )


@dataclass
class Config:
    """One run, whole."""

    run: RunConfig = field(default_factory=RunConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainable: TrainableConfig = field(default_factory=TrainableConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
