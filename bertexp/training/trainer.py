"""The training loop, in Lightning's words, over a tf.function step on a tf_keras model.

The hooks of ``fit``, in order::

    on_fit_start
    for each epoch:
        on_train_epoch_start
        for each batch:
            on_train_batch_start
            training_step, backward, clip, update         (training/step.py)
            on_train_batch_end
            on_metrics                                    every log_every_steps steps
            on_validation_start .. on_validation_end      every validate_every_steps steps
            on_save_checkpoint                            every checkpoint_every_steps steps
        on_validation_start .. on_validation_end          every validate_every_epochs epochs
        on_metrics
        on_train_epoch_end
        on_save_checkpoint                                where checkpoint_every_steps is not set
    on_fit_end          or, whatever went wrong:          on_exception
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf
import tf_keras

from bertexp.config.schema import TrainerConfig
from bertexp.interfaces import Logger
from bertexp.system import devices
from bertexp.system.signals import StopSignal
from bertexp.training.batches import Loaders
from bertexp.training.best import BestWeights
from bertexp.training.callbacks import Callback, KerasCallbacks
from bertexp.training.checkpoint import CheckpointStore, LoopState, read_state, restore
from bertexp.training.evaluation import Batch, TestResult, evaluate, find_split, measure
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.build import learning_rate_of
from bertexp.training.optimizers.former import convert_former
from bertexp.training.step import StepStatistics
from bertexp.training.words_in_use import WordsInUse

_KEPT = "kept_of_other_words"  # in a checkpoint
_KEPT_KEY = f"{_KEPT}/.ATTRIBUTES/VARIABLE_VALUE"


class Trainer:
    """Fits, validates, tests and predicts a module.

    Args:
        config: how long, how often, how exact.
        folder: where checkpoints go; ``None`` keeps none on disk (and then nothing is restored).
        callbacks: ours and any tf_keras one, called in this order.
        logger: receives every metric with its optimizer step.
        seed: of dropout; with the loader's seed it decides the whole run.
        stop: lets SIGINT and SIGTERM end the loop after a checkpoint.
    """

    def __init__(
        self,
        config: TrainerConfig,
        folder: Path | None = None,
        callbacks: Sequence[Callback | tf_keras.callbacks.Callback] = (),
        logger: Logger | None = None,
        seed: int = 42,
        stop: StopSignal | None = None,
    ):
        self.config, self._logger, self._seed = config, logger, seed
        self._store = CheckpointStore(folder, config.keep_checkpoints) if folder and not config.fast_dev_run else None
        self._stop = stop or StopSignal()
        keras = [c for c in callbacks if isinstance(c, tf_keras.callbacks.Callback)]
        self._callbacks: list[Callback] = [c for c in callbacks if isinstance(c, Callback)]
        if keras:
            self._callbacks.append(KerasCallbacks(keras))
        self.should_stop = False
        self.state = LoopState()
        self._words: WordsInUse | None = None  # while a fit trains these alone
        self._saved: tuple[int, ...] | None = None  # where the loop stood at the last checkpoint
        self.module: FineTuningModule

    def fit(self, module: FineTuningModule, data: Loaders, resume_from: Path | None = None) -> LoopState:
        """Trains ``module`` on ``data``; returns where the loop ended.

        With ``resume_from`` (a checkpoint of this very run) it continues at the exact step.

        Raises:
            TrainingDiverged: the loss is no longer a number; the last checkpoint is intact.
            RunInterrupted: a signal came; a checkpoint was written.
            ConfigError: ``trainer.monitor`` is not measured.
        """
        self.module = module
        try:
            with self._stop.deferred():
                self._start(module, data, resume_from)
                self._call("on_fit_start")
                if resume_from is not None:
                    self._validate_if_due()  # the signal or kill may have come in the middle of it
                while not self._done():
                    self._run_epoch()
                self._finish()
        except BaseException as error:
            self._call("on_exception", error)
            raise
        finally:
            self._settle()
            self._words = None
        return self.state

    def epoch_means(self) -> dict[str, float]:
        """Mean training loss and score of the epoch so far; waits for the device."""
        return self._statistics.epoch_means()

    def _start(self, module: FineTuningModule, data: Loaders, resume_from: Path | None) -> None:
        config = self.config
        overfit = config.overfit_batches and config.overfit_batches * config.batch_size
        self._train = data.train_loader(limit_rows=overfit)
        limit = self._limit(config.limit_val_batches)
        self._val = data.eval_loader("train" if overfit else "val", limit_rows=overfit, limit_batches=limit)
        self.length = config.run_length(len(self._train))
        self._best = BestWeights(module, config, self._store)
        self.monitor = self._best.monitor
        self.optimizer = module.configure_optimizers(self.length.total_steps)
        words_in_use = config.words_in_use and devices.is_measured(config)
        if resume_from is not None:
            self.state = read_state(resume_from)
            words_in_use = tf.train.load_checkpoint(str(resume_from / "checkpoint")).has_tensor(_KEPT_KEY)  # as before
        self._step = module.compiled_training_step(self.optimizer, config, self._train, words_in_use)
        words = self._step.words
        # Keras callbacks look for it there; untracked, so that saving the model does not save the optimizer with it
        module.model.optimizer = module.model._no_dependency(self.optimizer)
        kept = {_KEPT: words.kept} if words else {}
        self._everything = tf.train.Checkpoint(model=module.model, optimizer=self.optimizer, **kept)
        if resume_from is not None:
            restore(self._everything, resume_from)
            if words:
                words.take()
            convert_former(self.optimizer, self._step.variables, resume_from)
        self._words, self._settled = words, self.state.batches_seen
        self._statistics = StepStatistics(self.state, module.task.batch_metric, self._store)
        self._log_every_steps = min(config.log_every_steps, max(1, self.length.total_steps // 10))

    def _done(self) -> bool:
        state, length = self.state, self.length
        return self.should_stop or state.step >= length.total_steps or state.epoch >= length.max_epochs

    def _run_epoch(self) -> None:
        state = self.state
        if state.batch == 0:
            self._call("on_train_epoch_start")
        is_begun = False
        for features, labels, complete in self._train.epoch(state.epoch, state.batch, self.length.batches_per_epoch):
            if not is_begun:
                self._call("on_train_batch_start")
            last = state.batch + 1 == self.length.batches_per_epoch
            seed = (self._seed, state.batches_seen)
            statistics, updated = self._step(features, labels, seed, bool(complete), last)
            self._statistics.add(statistics)
            is_begun = not complete
            if is_begun:
                continue
            state.batch += 1
            state.batches_seen += 1
            state.step += int(updated)
            self._call("on_train_batch_end")
            if updated:
                self._after_step()
            if self._done():
                break
        self._statistics.read()
        if state.batch == self.length.batches_per_epoch:
            self._end_epoch()  # otherwise max_steps or a stop has ended the run; _finish validates

    def _after_step(self) -> None:
        """What is due after an optimizer step; a checkpoint comes last, so that it holds all of it."""
        config, step = self.config, self.state.step
        if step % self._log_every_steps == 0:
            self._log(self._statistics.end_interval() | {"train/learning_rate": learning_rate_of(self.optimizer)})
        self._validate_if_due()
        if config.checkpoint_every_steps and step % config.checkpoint_every_steps == 0:
            self._save()
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._stop.received is not None:
            self._save()
            self._stop.raise_if_received(f"stopped by a signal; the checkpoint of step {self.state.step} is kept")

    def _end_epoch(self) -> None:
        config, state, length = self.config, self.state, self.length
        due = (state.epoch + 1) % config.validate_every_epochs == 0 and not config.validate_every_steps
        if due or state.epoch + 1 >= length.max_epochs or state.step >= length.total_steps:
            self._validate()
        metrics = {f"train/{name}_epoch": value for name, value in self.epoch_means().items()}
        self._log(metrics | {"epoch": float(state.epoch + 1)})
        self._settle()
        validated = next((found for _, found in reversed(state.history) if "val/loss" in found), {})
        self._call("on_train_epoch_end", metrics | validated)
        state.epoch, state.batch, state.epoch_sums = state.epoch + 1, 0, [0.0] * 6
        if not config.checkpoint_every_steps:
            self._save()

    def _finish(self) -> None:
        self._validate()
        self._settle()
        self._save()
        self._best.restore(self.state)
        self._call("on_fit_end")

    def _validate_if_due(self) -> None:
        every = self.config.validate_every_steps
        if every and self.state.step % every == 0 and self.state.step:
            self._validate()

    def _validate(self) -> None:
        """Validates the current weights unless that was done; keeps the best ones."""
        state = self.state
        if state.validated_step == state.step or not len(self._val):
            return
        self._call("on_validation_start")
        self._statistics.read()
        self._settle()
        started = time.monotonic()
        metrics = measure(self.module, self._val, "val", before_batch=self._stop_if_asked).metrics
        state.validated_step = state.step
        self.should_stop |= not self._best.judge(metrics, state)
        self._log(metrics)
        self._call("on_validation_end", metrics)
        self._statistics.leave_out(time.monotonic() - started)

    def validate(self, module: FineTuningModule, data: Loaders) -> dict[str, float]:
        """Metrics of the validation split, as ``val/<name>``.

        Raises:
            DataError: there are no validation rows, or they have no labels.
        """
        return measure(module, find_split(data, "val", self._limit(self.config.limit_val_batches)), "val").metrics

    def test(
        self,
        module: FineTuningModule,
        data: Loaders,
        split: str = "test",
        after_batch: Callable[[Batch], None] = lambda batch: None,
    ) -> TestResult:
        """Runs a labelled split and logs its metrics as ``test/<name>`` (or ``<split>/<name>``).

        No batch is kept; ``after_batch`` is given each of them.

        Raises:
            DataError: the split has no rows, or they have no labels.
        """
        loader = find_split(data, split, self._limit(self.config.limit_test_batches))
        self._call("on_test_start")
        result = measure(module, loader, split, after_batch=after_batch)
        self._log(result.metrics)
        self._call("on_test_end", result.metrics)
        return result

    def predict(self, module: FineTuningModule, data: Loaders, split: str = "test") -> Iterator[Batch]:
        """Gives the logits of ``split``, of which no labels are needed, batch by batch; ``list`` keeps all of them.

        The longest texts come first: a batch's ``rows`` tell which rows of the split it is of.

        Raises:
            DataError: the split has no rows.
        """
        loader = find_split(data, split, self._limit(self.config.limit_test_batches), labelled=False)
        return evaluate(module, loader)

    def _limit(self, configured: int | None) -> int | None:
        return 1 if self.config.fast_dev_run else configured

    def _log(self, metrics: dict[str, float]) -> None:
        self.state.history.append((self.state.step, metrics))
        if self._logger is not None:
            self._logger.log_metrics(metrics, self.state.step)
        self._call("on_metrics", metrics)

    def _settle(self) -> None:
        """Brings the model's weights up to date, once for any number of readers between two batches."""
        if self._words and self._settled != self.state.batches_seen:
            self._words.settle()
            self._settled = self.state.batches_seen

    def _save(self) -> None:
        state = self.state
        standing = (state.step, state.epoch, state.batch, state.validated_step)
        if self._store is None or standing == self._saved:
            return
        self._saved = standing
        self._statistics.read()  # raises rather than keep weights that came after a loss that was no number
        self._settle()
        self._call("on_save_checkpoint")
        if self._logger is not None:
            self._logger.flush()  # what a resumed run will not log again must not be lost with this process
        self._store.save(self._everything, self.state)

    def _call(self, hook: str, *arguments: object) -> None:
        """Calls a hook of all callbacks; those that may look at the model find it whole, and may change it."""
        for callback in self._callbacks:
            sees = self._words is not None and callback.sees_model(hook)
            if sees:
                self._settle()
            getattr(callback, hook)(self, *arguments)
            if sees and self._words:
                self._words.take()
