"""The settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass

from bertexp.config.checks import Settings, require, setting


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
        10.0,
        "of disk for the outputs of frozen layers, which then run once; 0: they run every epoch",
        unit="GB",
        minimum=0,
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
        None,
        "which values of it are the better ones; null: as the task says of its own metrics",
        choices=("min", "max"),
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
    limit_val_batches: int | None = setting(None, "at most so many in a validation", unit="batches", above=0)
    limit_test_batches: int | None = setting(None, "at most so many in the test", unit="batches", above=0)
    overfit_batches: int | None = setting(None, "train and validate on the same few", unit="batches", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.lanes == "auto" or (self.lanes.isdecimal() and int(self.lanes) > 0),
            f"trainer.lanes={self.lanes} must be auto or a whole number above 0",
        )
