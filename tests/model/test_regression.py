"""Numbers learned from texts."""

from __future__ import annotations

import numpy as np
from toy import predict_all

from bertexp.config.resolve import compose_config
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.training.trainer import Trainer


def test_predictions_begin_around_the_mean_of_the_training_labels(tmp_path):
    rows = [f"a text of {number} words,{1000 + number}\n" for number in range(40)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(rows))
    config, _ = compose_config(
        ["task=regression", "dataset=files", f"dataset.path={tmp_path}/rows.csv", "model.num_layers=1",
         "model.hidden_size=64", "trainer.deterministic=true", f"run.outputs_dir={tmp_path}"]
    )  # fmt: skip
    plan = make_plan(config)
    parts = build_parts(config, plan, plan.dataset.load())
    logits = predict_all(Trainer(config.trainer, seed=1), parts.module, parts.data, "val")
    np.testing.assert_allclose(logits, parts.dataset.splits["train"]["label"].to_numpy().mean(), atol=10)
