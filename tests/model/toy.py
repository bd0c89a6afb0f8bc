"""A module and data small enough that a whole fit takes a fraction of a second."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from bertexp.data.examples import TOKEN_SPEC, ChosenExamples
from bertexp.data.examples.loaders import EvalLoader, TrainLoader
from bertexp.models.bert.dropout import dropout
from bertexp.tasks.classification.task import Classification
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer


class ToyModel(tf_keras.Model):
    """Mean of embeddings, stateless dropout, one logit."""

    def __init__(self, rate: float = 0.2):
        super().__init__()
        self.embedding = tf_keras.layers.Embedding(16, 8, name="embedding")
        self.head = tf_keras.layers.Dense(1, name="head")
        self.rate = rate

    def call(self, features, training=False, dropout_seed=None):
        mask = tf.cast(features["input_mask"], tf.float32)[:, :, None]
        x = tf.reduce_sum(self.embedding(features["input_word_ids"]) * mask, 1) / tf.reduce_sum(mask, 1)
        return self.head(dropout(x, self.rate, dropout_seed if training else None))


class ToyData:
    """Rows whose label is whether their first token is 1."""

    columns = ()

    def __init__(self, rows: int = 64, batch_size: int = 8, seed: int = 0):
        generator = np.random.default_rng(0)
        self.lengths = self.full_lengths = generator.integers(2, 7, rows).astype(np.int32)
        self.ids = generator.integers(3, 16, [rows, 8]).astype(np.int32)
        self.labels = generator.integers(0, 2, rows).astype(np.int32)
        self.ids[:, 0] = 1 + self.labels
        self.batch_size, self.seed = batch_size, seed

    spec = TOKEN_SPEC
    label_spec = tf.TensorSpec([None], tf.int32)

    def pack(self, rows):
        width = self.lengths[rows].max()
        mask = (np.arange(width) < self.lengths[rows][:, None]).astype(np.int32)
        features = {
            "input_word_ids": self.ids[rows, :width] * mask,
            "input_mask": mask,
            "input_type_ids": np.zeros_like(mask),
        }
        return features, self.labels[rows]

    def truth(self, rows):
        return self.labels[rows]

    @property
    def source_rows(self):
        return np.arange(len(self.labels))

    def chosen(self, limit_rows):
        return ChosenExamples(self, self.source_rows[:limit_rows])

    def train_loader(self, limit_rows=None):
        return TrainLoader(self.chosen(limit_rows), self.batch_size, 8, self.seed)

    def eval_loader(self, split, limit_rows=None, limit_batches=None):
        return EvalLoader(self.chosen(limit_batches * 16 if limit_batches else limit_rows), 16, 128)


def make_module(learning_rate: float = 0.05, rate: float = 0.2, optimizer=None) -> FineTuningModule:
    """A built module whose weights are the same at every call."""
    tf_keras.utils.set_random_seed(1)
    model = ToyModel(rate)
    model({name: tf.ones([1, 2], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")})
    return FineTuningModule(
        model, Classification(("no", "yes")), lambda steps: optimizer or AdamW(learning_rate, weight_decay=0.0)
    )


def measure(task, truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """The task's metrics of rows that come as one batch."""
    metrics = task.make_metrics()
    metrics.update(truth, logits)
    return metrics.result()


def predict_all(trainer: Trainer, module: FineTuningModule, data, split: str = "test") -> np.ndarray:
    """Logits <float32>[rows, units] of a split, in its own order, of a task with one answer a row."""
    batches = list(trainer.predict(module, data, split))
    order = np.argsort(np.concatenate([batch.rows for batch in batches]))
    return np.concatenate([batch.logits for batch in batches])[order]
