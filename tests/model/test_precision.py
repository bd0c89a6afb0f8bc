"""Mixed precision: the loop, the loss scale and the exported numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from toy import ToyData

from bertexp.config.schema import TrainerConfig
from bertexp.models.encoder import make_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.text_model import TextClassifier
from bertexp.tasks.classification.task import Classification
from bertexp.training.module import FineTuningModule
from bertexp.training.optimizers.adamw import AdamW
from bertexp.training.trainer import Trainer

SMALL = BertArchitecture(
    vocab_size=16, hidden_size=32, num_layers=2, num_heads=2, intermediate_size=64, max_positions=16, hidden_dropout=0.0
)


@pytest.fixture
def policy(request):
    tf_keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf_keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_a_mixed_precision_run_learns_with_float32_weights_and_logits(policy, tmp_path):
    model = TextClassifier(make_encoder(SMALL, 0, output_range=1), 1, "pooler", 0.0, 0)
    module = FineTuningModule(model, Classification(("no", "yes")), lambda steps: AdamW(2e-3))
    trainer = Trainer(TrainerConfig(max_epochs=6), tmp_path)
    state = trainer.fit(module, ToyData())
    assert state.best_score > 0.9
    assert {v.dtype for v in model.trainable_variables} == {tf.float32}
    outputs = trainer.predict(module, ToyData())
    assert outputs.logits.dtype == np.float32
    assert np.isfinite(outputs.logits).all()
    assert isinstance(trainer.optimizer, tf_keras.mixed_precision.LossScaleOptimizer) == (policy == "mixed_float16")
