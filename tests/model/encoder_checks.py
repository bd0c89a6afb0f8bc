"""What every encoder must pass, whatever computes it: it trains, freezes, goes on, is exported, verified and predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_export import TEXTS, VOCAB, pack
from toy import ToyData

from bertexp.config.schema import TrainableConfig, TrainerConfig
from bertexp.errors import ConfigError
from bertexp.models.encoder import Encoder
from bertexp.models.text_model import TextClassifier, set_trainable
from bertexp.serving.saved_model.export import export_saved_model, reference_logits
from bertexp.serving.saved_model.predictor import Predictor
from bertexp.serving.spec import ServingSpec
from bertexp.serving.verify import Verifier
from bertexp.tasks.classification.task import Classification
from bertexp.training.checkpoint import CheckpointStore
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer

TASK = Classification(("no", "yes"))


class EncoderChecks:
    """The checks; a subclass says how its encoder is made, with random weights and at least 16 word pieces."""

    layers: int  # that can be told apart

    def make(self) -> Encoder:
        raise NotImplementedError

    def fit(self, config: TrainableConfig, folder: Path | None = None, epochs: int = 1, resume: Path | None = None):
        """A model, its variables' values before and after the fit, and the state that the loop ended in."""
        model = TextClassifier(self.make(), 1, "mean", 0.1, seed=1)
        set_trainable(model, config)
        before = model.get_weights()
        module = FineTuningModule(model, TASK, lambda steps: AdamW(2e-3, weight_decay=0.0))
        trainer = TrainerConfig(max_epochs=epochs, log_every_steps=1000, restore_best=False)
        state = Trainer(trainer, folder).fit(module, ToyData(), resume)
        return model, before, state

    def changed(self, model: TextClassifier, before: list[np.ndarray]) -> set[str]:
        return {v.name for v, old in zip(model.variables, before, strict=True) if not np.array_equal(v, old)}

    def test_every_variable_learns_and_the_loss_falls(self, tmp_path):
        model, before, state = self.fit(TrainableConfig(), tmp_path, epochs=6)
        assert self.changed(model, before) == {variable.name for variable in model.trainable_variables}
        losses = [metrics["val/loss"] for _, metrics in state.history if "val/loss" in metrics]
        assert losses[-1] < 0.7 * losses[0]

    def test_a_fit_goes_on_from_its_checkpoint(self, tmp_path):
        model, _, _ = self.fit(TrainableConfig(), tmp_path)
        again, _, state = self.fit(TrainableConfig(), tmp_path, resume=CheckpointStore(tmp_path, 1).latest())
        assert state.step == 8
        for one, other in zip(model.variables, again.variables, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_frozen_it_stays_as_it_was(self):
        model, before, _ = self.fit(TrainableConfig(encoder="frozen"))
        assert self.changed(model, before) == {variable.name for variable in model.head.variables}

    def test_its_top_layers_learn_alone_if_layers_can_be_told_apart(self):
        config = TrainableConfig(encoder="top_layers", top_layers=1)
        assert len(self.make().layers.transformer) == self.layers
        if not self.layers:
            with pytest.raises(ConfigError, match="can be told apart"):
                self.fit(config)
            return
        model, before, _ = self.fit(config)
        learning = [*model.encoder.layers.transformer[-1].variables, *model.head.variables]
        assert self.changed(model, before) == {variable.name for variable in learning}

    def test_its_export_is_verified_and_predicts(self, tmp_path):
        model, _, _ = self.fit(TrainableConfig())
        spec = ServingSpec(TASK, max_length=16, has_pair=False)
        with Verifier() as verifier:
            folder = export_saved_model(model, VOCAB, True, spec, tmp_path / "model")
            positive = tf.sigmoid(reference_logits(model, [pack([TEXTS], 16)])).numpy()
            expected = np.concatenate([1 - positive, positive], axis=1)
            assert verifier.verify(folder, {"text": TEXTS}, expected, 1e-5).rows == len(TEXTS)
        labels = [prediction.answer["label"] for prediction in Predictor(folder).predict({"text": TEXTS})]
        assert labels == [TASK.label_names[row.argmax()] for row in expected]
