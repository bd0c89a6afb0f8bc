"""Hooks into the loop: our own callbacks, and any Keras callback through one adapter."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import tf_keras

from bertexp.system.console import Progress

if TYPE_CHECKING:
    from bertexp.training.trainer import Trainer


class Callback:
    """Every hook of ``Trainer``; override what you need. ``trainer.state`` tells step, epoch and history."""

    def sees_model(self, hook: str) -> bool:
        """Whether that hook may read or change weights of the model. If not, they are not brought up to date for it.

        At each batch that costs as much as half a step of short texts.
        """
        return getattr(getattr(self, hook), "__func__", None) is not getattr(Callback, hook)  # not if it does nothing

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first batch; the trainer's length and state are known."""

    def on_train_epoch_start(self, trainer: Trainer) -> None:
        """Before an epoch's first batch."""

    def on_train_batch_start(self, trainer: Trainer) -> None:
        """Before a batch."""

    def on_train_batch_end(self, trainer: Trainer) -> None:
        """After a batch and its update, if one was due."""

    def on_metrics(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """With the training metrics since the last call."""

    def on_validation_start(self, trainer: Trainer) -> None:
        """Before a validation."""

    def on_validation_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """With a validation's metrics."""

    def on_train_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """With the metrics of an epoch and of its validation."""

    def on_save_checkpoint(self, trainer: Trainer) -> None:
        """Before a checkpoint is written."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last batch."""

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """When something, a signal too, ends the fit; called in place of `on_fit_end`."""

    def on_test_start(self, trainer: Trainer) -> None:
        """Before a labelled split is judged."""

    def on_test_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """With its metrics."""


class ProgressReport(Callback):
    """A progress bar on a terminal; elsewhere a plain line at the first step and then every few seconds.

    ``brief`` is a name to put before each line; validations then get no line of their own.
    """

    def __init__(self, every_seconds: float = 15.0, brief: str = ""):
        self._every_seconds, self._brief = every_seconds, brief
        self._shown: dict[str, float] = {}

    def sees_model(self, hook: str) -> bool:
        return False

    def on_fit_start(self, trainer: Trainer) -> None:
        self._done, self._is_first = trainer.state.step, True
        self._progress = Progress(
            *(self._brief, trainer.length.total_steps, "step"),
            done=self._done,
            every_seconds=self._every_seconds,
            line=functools.partial(self._line, trainer),
            tell=functools.partial(print, flush=True),
            unit_scale=False,
            leave=not self._brief,
        )

    def on_metrics(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        shown = ("train/loss", f"train/{trainer.module.task.batch_metric}")
        self._shown.update({name: value for name, value in metrics.items() if name in shown})

    def on_train_batch_end(self, trainer: Trainer) -> None:
        steps, self._done = trainer.state.step - self._done, trainer.state.step
        if not self._is_first:
            self._progress.advance(steps, self._shown)
            return
        self._is_first = False  # it traced the graphs
        self._progress.begin_after(steps)
        if not self._progress.is_bar:
            self._progress.tell(self._line(trainer, self._done))

    def on_validation_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if self._brief:
            return
        values = "  ".join(f"{name} {metrics[name]:.4f}" for name in dict.fromkeys(("val/loss", trainer.monitor)))
        best = "  (best so far)" if trainer.state.best_step == trainer.state.step else ""
        self._progress.tell(
            f"epoch {trainer.state.epoch + 1}  step {trainer.state.step}/{trainer.length.total_steps}  {values}{best}"
        )

    def on_fit_end(self, trainer: Trainer) -> None:
        self._progress.close()

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        if hasattr(self, "_progress"):  # not if another callback could not begin
            self._progress.close()

    def _line(
        self, trainer: Trainer, done: int, values: Mapping[str, float] | None = None, left: float | None = None
    ) -> str:
        shown = [f"{name} {value:.4f}" for name, value in (values or {}).items()]
        parts = [self._brief, f"step {done}/{trainer.length.total_steps}", *shown]
        return "  ".join(filter(None, [*parts, "" if left is None else f"{left:.0f} s left"]))


class KerasCallbacks(Callback):
    """Runs tf_keras callbacks; they see Keras's metric names (``loss``, ``val_accuracy``) and the real model.

    ``model.optimizer`` is the run's optimizer and ``model.stop_training`` ends the run. A resumed run starts them afresh.
    """

    def __init__(self, callbacks: Sequence[tf_keras.callbacks.Callback]):
        self._callbacks = list(callbacks)

    def sees_model(self, hook: str) -> bool:
        return super().sees_model(hook) and ("batch" not in hook or self._reads_batches)

    def on_fit_start(self, trainer: Trainer) -> None:
        model = trainer.module.model
        model.stop_training = False
        self._list = tf_keras.callbacks.CallbackList(
            self._callbacks,
            model=model,
            epochs=trainer.length.max_epochs,
            steps=trainer.length.batches_per_epoch,
            verbose=0,
        )
        self._reads_batches = self._list._should_call_train_batch_hooks
        self._list.on_train_begin()

    def on_train_epoch_start(self, trainer: Trainer) -> None:
        self._list.on_epoch_begin(trainer.state.epoch)

    def on_train_batch_start(self, trainer: Trainer) -> None:
        if self._reads_batches:
            self._list.on_train_batch_begin(trainer.state.batch)

    def on_train_batch_end(self, trainer: Trainer) -> None:
        if self._reads_batches:
            self._list.on_train_batch_end(trainer.state.batch - 1, trainer.epoch_means())
        self._look_for_stop(trainer)

    def on_validation_start(self, trainer: Trainer) -> None:
        self._list.on_test_begin()

    def on_validation_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._list.on_test_end(_keras_names(metrics))

    def on_train_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._list.on_epoch_end(trainer.state.epoch, _keras_names(metrics))
        self._look_for_stop(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        self._list.on_train_end()

    def _look_for_stop(self, trainer: Trainer) -> None:
        if trainer.module.model.stop_training:
            trainer.should_stop = True


def _keras_names(metrics: dict[str, float]) -> dict[str, float]:
    """``train/loss_epoch`` -> ``loss``, ``val/accuracy`` -> ``val_accuracy``."""
    names = {name: name.removeprefix("train/").removesuffix("_epoch").replace("/", "_") for name in metrics}
    return {names[name]: value for name, value in metrics.items()}
