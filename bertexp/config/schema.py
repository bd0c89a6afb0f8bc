"""Every setting of a run: its name, type, default, unit and range, in one place.

The dataclasses are OmegaConf structured configs, so an unknown key or a wrong type fails during composition. Ranges
and combinations are checked in ``__post_init__``, which runs when ``resolve.py`` turns the composed config into these
objects. This module imports nothing heavy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from bertexp.config.checks import fraction, one_of, positive, require
from bertexp.config.sweep import SweepConfig
from bertexp.config.task import TaskConfig
from bertexp.models.poolings.spec import POOLINGS
from bertexp.training.optimizers.spec import OPTIMIZERS


@dataclass
class RunConfig:
    """What concerns the run as a whole."""

    seed: int = 42  # weights of new layers, batch order, dropout
    name: str | None = None  # shown in MLflow; null: <model>-<dataset>-s<seed>
    dry: bool = False  # print the plan, import no TensorFlow, write nothing
    rehearsal: bool = False  # a random encoder of 2 layers and 64 packaged rows stand in (debug=fast)
    outputs_dir: str = "outputs"  # run folders, the default MLflow store and the caches lie here

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, f"run.seed={self.seed} must lie in 0 .. 2147483647")

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
        one_of("dataset.on_bad_row", self.on_bad_row, ("error", "skip"))
        one_of("dataset.long_text", self.long_text, ("truncate_head", "truncate_tail", "head_tail", "windows"))
        require(
            self.window_overlap is None or 0 <= self.window_overlap <= self.max_length // 2,
            f"dataset.window_overlap={self.window_overlap} must lie in 0 .. {self.max_length // 2}, half of dataset.max_length",
        )
        require(
            len(self.label_separator) == 1, f"dataset.label_separator={self.label_separator!r} must be one character"
        )
        fraction("dataset.val_fraction", self.val_fraction)
        fraction("dataset.test_fraction", self.test_fraction)
        require(
            self.val_fraction + self.test_fraction < 1,
            f"dataset.val_fraction={self.val_fraction} and dataset.test_fraction={self.test_fraction} leave no rows to train on",
        )
        for split in ("train", "val", "test"):
            positive(f"dataset.limit_{split}", getattr(self, f"limit_{split}"))
        require(
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
        one_of("model.source", self.source, ("tfhub", "google", "huggingface", "random"))
        if self.pooling is not None:
            one_of("model.pooling", self.pooling, tuple(POOLINGS))
        fraction("model.dropout", self.dropout)
        fraction("model.encoder_dropout", self.encoder_dropout)
        for key in ("num_layers", "hidden_size", "num_heads"):
            positive(f"model.{key}", getattr(self, key))
        require(
            self.type_vocab_size in (None, 0, 2),
            f"model.type_vocab_size={self.type_vocab_size} must be 0 or 2: a pair has two types",
        )
        if self.hidden_size and self.num_heads:
            require(
                self.hidden_size % self.num_heads == 0,
                f"model.hidden_size={self.hidden_size} cannot be divided into model.num_heads={self.num_heads}",
            )


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
        one_of("optimizer.name", self.name, tuple(OPTIMIZERS))
        one_of("optimizer.schedule", self.schedule, ("linear", "constant"))
        one_of("optimizer.warmup_form", self.warmup_form, ("bert", "continuous"))
        require(
            self.learning_rate is None or 0 < self.learning_rate <= 1,
            f"optimizer.learning_rate={self.learning_rate} must be greater than 0 and at most 1",
        )
        fraction("optimizer.warmup_fraction", self.warmup_fraction)
        fraction("optimizer.beta_1", self.beta_1)
        fraction("optimizer.beta_2", self.beta_2)
        positive("optimizer.epsilon", self.epsilon)
        fraction("optimizer.weight_decay", self.weight_decay)
        require(
            self.warmup_steps is None or self.warmup_steps >= 0,
            f"optimizer.warmup_steps={self.warmup_steps} must not be negative",
        )


@dataclass
class TrainableConfig:
    """Which part of the encoder learns; the head always does."""

    encoder: str = "full"  # full | frozen | top_layers
    top_layers: int | None = None  # top_layers: how many; null: half of them

    def __post_init__(self) -> None:
        one_of("trainable.encoder", self.encoder, ("full", "frozen", "top_layers"))
        positive("trainable.top_layers", self.top_layers)


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
        one_of("trainer.precision", self.precision, ("float32", "mixed_bfloat16", "mixed_float16"))
        one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        require(
            self.activation_cache_gb >= 0,
            f"trainer.activation_cache_gb={self.activation_cache_gb} must not be negative",
        )
        if self.monitor_mode is not None:
            one_of("trainer.monitor_mode", self.monitor_mode, ("min", "max"))
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
            positive(f"trainer.{key}", getattr(self, key))


@dataclass
class TrackingConfig:
    """Where parameters, metrics, figures and the model are recorded."""

    name: str = "mlflow"  # mlflow | none
    uri: str | None = None  # null: sqlite under run.outputs_dir, as an absolute address
    experiment: str = "bertexp"
    log_model: bool = True

    def __post_init__(self) -> None:
        one_of("tracking.name", self.name, ("mlflow", "none"))


@dataclass
class ExportConfig:
    """The SavedModel that a run ships."""

    enabled: bool = True
    tolerance: float = 1e-5  # largest difference between the reloaded and the trained model's probabilities
    examples: list[list[str]] = field(default_factory=list)  # rows of one or two texts that the reloaded model answers

    def __post_init__(self) -> None:
        positive("export.tolerance", self.tolerance)


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
