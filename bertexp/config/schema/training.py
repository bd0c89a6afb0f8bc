"""The settings of what learns, and how: the model, what of it is trained, the optimizer and the loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bertexp.config.checks import Settings, setting
from bertexp.errors import ConfigError
from bertexp.models.poolings.spec import POOLINGS
from bertexp.training.optimizers.spec import OPTIMIZERS


@dataclass(frozen=True)
class RunLength:
    """Counts of a whole run; a step is one optimizer update."""

    batches_per_epoch: int
    steps_per_epoch: int
    max_epochs: int
    total_steps: int


@dataclass
class ModelConfig(Settings, group="model"):
    """The encoder, where its weights come from, and the head on top."""

    name: str = setting("tiny", "shown in names of runs; model=<name> chooses it with what it needs", names_folder=True)
    source: str = setting("random", "where the weights come from", choices=("tfhub", "google", "huggingface", "random"))
    path: str | None = setting(None, "handle, address, folder, archive or file; null: as tfhub_handle and its like say")
    num_layers: int | None = setting(None, "of the encoder; null: as the source says", above=0)
    hidden_size: int | None = setting(None, "width of the encoder; null: as the source says", above=0)
    num_heads: int | None = setting(None, "of attention; null: hidden_size / 64, or as the source says", above=0)
    type_vocab_size: int | None = setting(
        None, "type embeddings: a pair has two types, DistilBERT none; null: as the source says, or 2", choices=(0, 2)
    )
    tfhub_handle: str | None = setting(None, "template over {num_layers}, {hidden_size} and {num_heads}")
    tfhub_preprocess: str | None = setting(None, "handle, folder or archive of its SavedModel; or give vocab_file")
    google_checkpoint: str | None = setting(None, "template of the address of a Google checkpoint's archive")
    huggingface_repo: str | None = setting(None, "owner/name on the Hugging Face hub")
    vocab_file: str | None = setting(
        None, "a word piece a line; null: the source's; of random weights, the embedded one"
    )
    lowercase: bool | None = setting(None, "whether texts are put into lower case; null: as the source says")
    strip_accents: bool | None = setting(
        None, "whether accents are taken off texts in lower case; null: as the source says, else true"
    )
    pooling: str | None = setting(
        None, "how one vector is made of a text's; null: pooler, none for tasks that read every word", choices=POOLINGS
    )
    dropout: float = setting(0.1, "before the head", minimum=0, below=1)
    encoder_dropout: float | None = setting(None, "in the encoder; null: as the source says (0.1)", minimum=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size and self.num_heads and self.hidden_size % self.num_heads:
            raise ConfigError(
                f"model.hidden_size={self.hidden_size} cannot be divided into model.num_heads={self.num_heads}"
            )


@dataclass
class TrainableConfig(Settings, group="trainable"):
    """Which part of the encoder learns; the head always does."""

    encoder: str = setting("full", "what learns of the encoder", choices=("full", "frozen", "top_layers"))
    top_layers: int | None = setting(None, "of top_layers: how many; null: half of them", unit="layers", above=0)


@dataclass
class OptimizerConfig(Settings, group="optimizer"):
    """The update rule and its learning-rate schedule."""

    name: str = setting("adamw", "the update rule", choices=OPTIMIZERS)
    learning_rate: float | None = setting(None, "at its peak; null: 3e-5, for random weights 1e-3", above=0, maximum=1)
    schedule: str = setting("linear", "after warm-up: linear to zero, or constant", choices=("linear", "constant"))
    warmup_fraction: float = setting(0.1, "of all steps, in which the learning rate rises", minimum=0, below=1)
    warmup_steps: int | None = setting(None, "in place of warmup_fraction", unit="steps", minimum=0)
    warmup_form: str = setting("bert", "the decay runs from step 0, or after warm-up", choices=("bert", "continuous"))
    weight_decay: float = setting(0.01, "decoupled, not on biases and LayerNorm; of adamw", minimum=0, below=1)
    beta_1: float = setting(0.9, "decay of the mean of gradients", minimum=0, below=1)
    beta_2: float = setting(0.999, "decay of the mean of their squares", minimum=0, below=1)
    epsilon: float = setting(1e-6, "added to the root of that mean", above=0)

    def count_warmup(self, total_steps: int) -> int:
        """Steps of warm-up in a run of ``total_steps``; a fraction of them is rounded down."""
        if self.warmup_steps is not None:
            return min(self.warmup_steps, total_steps)
        return int(total_steps * self.warmup_fraction)


@dataclass
class TrainerConfig(Settings, group="trainer"):
    """The loop: how long, how large, how exact, and what is kept."""

    max_epochs: int | None = setting(None, "null: 5 for pretrained weights, 20 for random ones", above=0)
    max_steps: int | None = setting(None, "ends the run if it comes first", unit="steps", above=0)
    batch_size: int = setting(32, "of a step of training", unit="rows", above=0)
    eval_batch_size: int = setting(64, "of validation and test", unit="rows", above=0)
    accumulate_grad_batches: int = setting(1, "batches whose gradients make one step", above=0)
    gradient_clip_norm: float | None = setting(1.0, "the largest global norm; null: off", above=0)
    precision: str = setting("float32", "of the computations", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    accelerator: str = setting("auto", "where it runs; gpu fails if there is none", choices=("auto", "cpu", "gpu"))
    activation_cache_gb: float = setting(
        10.0, "of disk for the outputs of frozen layers, which then run once; 0: each epoch", unit="GB", minimum=0
    )
    lanes: str = setting(
        "auto",
        "parts of a batch to work on side by side, a number: with several an operation has one thread; auto: 2 on a CPU of two "
        "cores without XLA, else 1",
    )
    words_in_use: bool = setting(
        True,
        "train only the word embeddings that the training texts use (on a CPU without XLA): the same weights, sooner",
    )
    closed_gradients: bool = setting(
        True,
        "gradients of GELU, LayerNorm and narrowing products in closed form (on a CPU without XLA): the same but for rounding, sooner",
    )
    rewrite_graphs: bool = setting(
        False,
        "let TensorFlow rewrite the training step first, as it always does on a GPU: training begins later, as fast",
    )
    jit_compile: bool = setting(False, "the step through XLA, for GPUs; it is compiled for each width of a batch")
    deterministic: bool = setting(False, "bitwise equal repeats, somewhat slower")
    validate_every_epochs: int = setting(1, "how often the validation split is judged", unit="epochs", above=0)
    validate_every_steps: int | None = setting(None, "in place of epochs", unit="steps", above=0)
    log_every_steps: int = setting(10, "how often training metrics are recorded", unit="steps", above=0)
    monitor: str | None = setting(None, "the val/ metric that chooses the checkpoint; null: the task's main one")
    monitor_mode: str | None = setting(
        None, "which values of it are better; null: as the task says of its own metrics", choices=("min", "max")
    )
    early_stopping_patience: int | None = setting(
        None, "ends the run after so many validations without improvement; null: off", unit="validations", above=0
    )
    restore_best: bool = setting(True, "test and export the best checkpoint instead of the last weights")
    checkpoint_every_steps: int | None = setting(None, "null: at the end of each epoch", unit="steps", above=0)
    keep_checkpoints: int = setting(2, "besides the best one", unit="checkpoints", above=0)
    resume: str | None = setting(None, "the run to go on with: last, a run folder or an MLflow run id")
    fast_dev_run: bool = setting(False, "one batch of each stage, nothing tracked or kept")
    limit_train_batches: int | None = setting(None, "at most so many in an epoch", unit="batches", above=0)
    limit_val_batches: int | None = setting(
        None, "at most so many in a validation, of rows drawn with dataset.split_seed", unit="batches", above=0
    )
    limit_test_batches: int | None = setting(None, "the same for the test", unit="batches", above=0)
    overfit_batches: int | None = setting(None, "train and validate on the same few", unit="batches", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lanes != "auto" and not (self.lanes.isdecimal() and int(self.lanes)):
            raise ConfigError(f"trainer.lanes={self.lanes} must be auto or a whole number above 0")

    def run_length(self, train_batches: int) -> RunLength:
        """The length of a run over ``train_batches`` batches an epoch, known without TensorFlow.

        ``max_steps`` without ``max_epochs`` decides alone; with both, whichever ends first.
        """
        batches = min(
            train_batches, self.limit_train_batches or train_batches, 1 if self.fast_dev_run else train_batches
        )
        steps = math.ceil(batches / self.accumulate_grad_batches)
        if self.fast_dev_run:
            return RunLength(batches, steps, 1, steps)
        total = math.inf if self.max_epochs is None and self.max_steps else steps * (self.max_epochs or 1)
        total = int(min(total, self.max_steps or total))
        return RunLength(batches, steps, math.ceil(total / max(steps, 1)), total)
