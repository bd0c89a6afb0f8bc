"""Encoders that are no BERT run through Model Garden's own call and are native all the same; a BERT passes the same checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from encoder_checks import EncoderChecks
from official.nlp.modeling.networks import AlbertEncoder
from official.nlp.modeling.networks.bert_encoder import BertEncoderV2

from bertexp.config.resolve import compose_config
from bertexp.models.encoder import Encoder, make_encoder
from bertexp.models.pretrained import load_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.runs.plan import make_plan
from bertexp.runs.stages import parts

SIZES = {"vocab_size": 16, "num_attention_heads": 4, "max_sequence_length": 16, "type_vocab_size": 2}
ELECTRA_SMALL = {**SIZES, "embedding_width": 128, "hidden_size": 256, "num_layers": 2, "inner_dim": 512}


class TestBert(EncoderChecks):
    layers = 2

    def make(self) -> Encoder:
        return make_encoder(BertArchitecture(16, 32, 2, 4, 64, max_positions=16), seed=1)


class TestAlbert(EncoderChecks):
    layers = 0  # one, which is run three times

    def make(self) -> Encoder:
        tf_keras.utils.set_random_seed(1)
        return Encoder(AlbertEncoder(**SIZES, embedding_width=8, hidden_size=32, num_layers=3, intermediate_size=64))


class TestElectraSmall(EncoderChecks):
    layers = 2

    def make(self) -> Encoder:
        tf_keras.utils.set_random_seed(1)
        return Encoder(BertEncoderV2(**ELECTRA_SMALL))


def test_what_is_computed_by_model_gardens_own_call_says_so():
    encoder = Encoder(BertEncoderV2(**SIZES, hidden_size=32, num_layers=1, inner_dim=64, norm_first=True))
    assert "BertEncoderV2 is not known to be a BERT" in encoder.fallback
    assert "a run that goes on draws its dropout anew" in encoder.fallback
    assert (encoder.named_weights, encoder.frozen_depth) == ({}, 0)
    assert make_encoder(BertArchitecture(16, 32, 1, 4, 64), seed=1).fallback is None


def test_a_run_says_what_its_encoder_is(monkeypatch, tmp_path, capsys):
    config, _ = compose_config(
        ["dataset.limit_train=8", "model.num_layers=1", "model.hidden_size=64", f"run.outputs_dir={tmp_path}"]
    )
    plan = make_plan(config)
    loaded = load_encoder(plan.model, config.model)
    albert = Encoder(AlbertEncoder(**SIZES | {"vocab_size": len(loaded.vocab)}, hidden_size=64, num_layers=1))
    for encoder, said in ((loaded.encoder, False), (albert, True)):
        monkeypatch.setattr(parts, "load_encoder", lambda *_, encoder=encoder: replace(loaded, encoder=encoder))
        parts.build_parts(config, plan, plan.dataset.load())
        assert ("encoder    AlbertEncoder is not known to be a BERT" in capsys.readouterr().out) == said


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_model_gardens_own_call_drops_out_in_training_alone(policy):
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        encoder = Encoder(BertEncoderV2(**ELECTRA_SMALL))
        features = {name: tf.ones([2, 3], tf.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")}
        first, again, training = (encoder(features, training=t)["pooled_output"] for t in (False, False, True))
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert first.dtype == tf.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - training).max() > 1e-3
