"""The encoder computes what Model Garden's does, on the same variables; dropout is a function of the seed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling.networks.bert_encoder import BertEncoderV2

from bertexp.config.resolve import compose_config
from bertexp.config.schema import TrainableConfig
from bertexp.models.bert import layer as layers
from bertexp.models.bert.dropout import dropout, fold
from bertexp.models.encoder import Encoder, make_encoder
from bertexp.models.poolings.spec import POOLINGS, build_pooling
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.locate import count_trained
from bertexp.models.text_model import TextClassifier, set_trainable
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts
from bertexp.serving.saved_model.export import export_saved_model
from bertexp.serving.spec import ServingSpec
from bertexp.tasks.classification.task import Classification

SMALL = BertArchitecture(100, 32, 3, 4, 64, max_positions=24)
SEED = tf.constant([1, 2], tf.int32)


def make_features(batch: int = 4, length: int = 11, vocab_size: int = 100) -> dict[str, tf.Tensor]:
    generator = np.random.default_rng(0)
    mask = (np.arange(length) < generator.integers(2, length + 1, (batch, 1))).astype(np.int32)
    ids = generator.integers(0, vocab_size, (batch, length)) * mask
    types = (np.arange(length) >= 4) * mask
    values = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
    return {name: tf.constant(value, tf.int32) for name, value in values.items()}


def make_ours(architecture: BertArchitecture, only_cls: bool = False) -> Encoder:
    """Our encoder with weights of which none is 0 or 1."""
    encoder = make_encoder(architecture, seed=3, only_cls=only_cls)
    for number, variable in enumerate(encoder.variables):
        variable.assign_add(0.1 * tf.random.stateless_normal(variable.shape, [7, number]))
    return encoder


def make_pair(architecture: BertArchitecture, only_cls: bool = False) -> tuple[BertEncoderV2, Encoder]:
    """Model Garden's encoder and ours with the same weights."""
    ours = make_ours(architecture, only_cls)
    reference = BertEncoderV2(**ours.held.get_config(), name="encoder")
    reference(reference.inputs)
    reference.set_weights(ours.get_weights())
    return reference, ours


def outputs_and_gradients(encoder, features, read: str) -> tuple[dict, list[np.ndarray]]:
    with tf.GradientTape() as tape:
        outputs = encoder(features, training=False)
        value = outputs["pooled_output"] if read == "pooled" else outputs["sequence_output"]
        loss = tf.reduce_sum(tf.sin(3.0 * value) * tf.cos(tf.range(value.shape[-1], dtype=tf.float32)))
    gradients = tape.gradient(loss, encoder.trainable_variables, unconnected_gradients="zero")
    return outputs, [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf", "relu"])
def test_outputs_and_gradients_equal_model_gardens(activation: str) -> None:
    reference, ours = make_pair(replace(SMALL, activation=activation))
    expected, expected_gradients = outputs_and_gradients(reference, make_features(), "sequence")
    outputs, gradients = outputs_and_gradients(ours, make_features(), "sequence")
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)
    for variable, one, other in zip(ours.trainable_variables, gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1.0, np.abs(other).max()), err_msg=variable.name)


def test_cls_alone_is_the_same_cls() -> None:
    reference, ours = make_pair(SMALL, only_cls=True)
    expected, expected_gradients = outputs_and_gradients(reference, make_features(), "pooled")
    outputs, gradients = outputs_and_gradients(ours, make_features(), "pooled")
    assert outputs["sequence_output"].shape[1] == 1
    np.testing.assert_allclose(outputs["sequence_output"][:, 0], expected["sequence_output"][:, 0], atol=1e-5)
    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled_output"], atol=1e-5)
    for variable, one, other in zip(ours.trainable_variables, gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1.0, np.abs(other).max()), err_msg=variable.name)


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf"])
def test_training_gradients_are_right_where_dropout_is_off(activation: str) -> None:
    """Training has gradients of its own for LayerNorm, GELU and the narrowing products."""
    encoder = make_ours(replace(SMALL, hidden_dropout=0.0, attention_dropout=0.0, activation=activation))

    def gradients(closed: bool) -> list[tf.Tensor]:
        encoder.closed_gradients = closed
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(encoder(make_features(), training=True)["pooled_output"]))
        return tape.gradient(loss, encoder.trainable_variables)

    for one, other in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), atol=2e-5)


def test_closed_gradients_are_used_as_the_setting_says_and_only_on_a_cpu_without_xla(monkeypatch, tmp_path) -> None:
    used: list[str] = []
    for name in ("gelu", "layer_norm", "narrowing_product"):
        original = getattr(layers.gradients, name)
        monkeypatch.setattr(layers.gradients, name, lambda key, f=original, name=name: used.append(name) or f(key))
    for words, expected in (
        ([], {"gelu", "layer_norm", "narrowing_product"}),
        (["trainer.closed_gradients=false"], set()),
        (["trainer.jit_compile=true"], set()),
    ):
        config, _ = compose_config(["model=tiny", "dataset.limit_train=8", f"run.outputs_dir={tmp_path}", *words])
        plan = make_plan(config)
        encoder = build_parts(config, plan, plan.dataset.load()).loaded.encoder
        used.clear()
        layers._traced.cache_clear()
        encoder(make_features(), training=True)
        assert {*used} == expected


def test_variables_config_and_checkpoints_are_model_gardens(tmp_path) -> None:
    reference, ours = make_pair(SMALL)
    assert [variable.name for variable in ours.variables] == [variable.name for variable in reference.variables]
    another = BertEncoderV2(**ours.held.get_config())
    another(another.inputs)
    for writer, reader in ((reference, make_encoder(SMALL, seed=8)), (ours, another)):
        path = tf.train.Checkpoint(encoder=writer).save(str(tmp_path / type(writer).__name__))
        tf.train.Checkpoint(encoder=reader).restore(path).assert_consumed()
        for one, other in zip(writer.get_weights(), reader.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_another_epsilon_is_respected_and_model_gardens_own_call_knows_it() -> None:
    small, large = (make_ours(replace(SMALL, layer_norm_epsilon=value)) for value in (1e-12, 0.5))
    large.set_weights(small.get_weights())
    for training in (False, True):
        outputs = [encoder(make_features(), training, SEED)["pooled_output"] for encoder in (small, large)]
        assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
    np.testing.assert_allclose(
        large(make_features())["pooled_output"], large.held(make_features())["pooled_output"], atol=1e-5
    )


def test_the_seed_decides_the_first_weights() -> None:
    one, same, other = (make_encoder(SMALL, seed) for seed in (1, 1, 2))
    for a, b, c in zip(one.variables, same.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.array_equal(a, c) == (not a.name.endswith(("kernel:0", "embeddings:0")))
    assert 0.015 < np.std(one.variables[0]) < 0.02  # cut at two deviations of 0.02
    kernels = [one.named_weights[f"bert/encoder/layer_{number}/output/dense/kernel"] for number in range(2)]
    assert not np.array_equal(kernels[0], kernels[1])


def test_dropout_is_a_function_of_seed_and_step() -> None:
    model = TextClassifier(make_encoder(SMALL, 1), 2, "mean", 0.5, seed=1)
    step = tf.function(
        lambda features, seed: model(features, training=True, dropout_seed=seed),
        input_signature=[
            {name: tf.TensorSpec([None, None], tf.int32) for name in make_features()},
            tf.TensorSpec([2], tf.int32),
        ],
    )
    logits = [step(make_features(), tf.constant(pair)).numpy() for pair in ([1, 2], [1, 2], [1, 3], [2, 2])]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert not np.array_equal(logits[0], logits[2])
    assert not np.array_equal(logits[0], logits[3])
    drawn = [model(make_features(), training=True).numpy() for _ in range(2)]
    assert not np.array_equal(*drawn)
    np.testing.assert_array_equal(model(make_features()), model(make_features(), training=False, dropout_seed=SEED))


def test_a_deep_encoders_layers_are_traced_once_for_all(monkeypatch) -> None:
    """What takes a second in twelve layers: the first step is not to come so much later."""
    traced, transform = [], layers._transform
    monkeypatch.setattr(layers, "_transform", lambda kind, *rest: traced.append(kind) or transform(kind, *rest))
    layers._traced.cache_clear()
    encoder = make_encoder(replace(SMALL, num_layers=6), 1, only_cls=True)

    @tf.function(autograph=False)
    def step(features):
        with tf.GradientTape() as tape:
            parts = [encoder(features, training=True, dropout_seed=tf.constant([5, 6, row])) for row in (0, 4)]
            loss = tf.add_n([tf.reduce_sum(part["pooled_output"]) for part in parts])
        return tape.gradient(loss, encoder.trainable_variables)

    assert all(gradient is not None for gradient in step(make_features()))
    assert len(traced) == 2  # all positions attend, or [CLS] alone


@pytest.mark.parametrize(("rate", "shape"), [(0.1, [301, 333]), (0.5, [100_001]), (0.0, [5])])
def test_dropout_keeps_the_expectation(rate: float, shape: list[int]) -> None:
    x = tf.Variable(tf.ones(shape))
    with tf.GradientTape() as tape:
        y = dropout(x, rate, SEED)
    count = math.prod(shape)
    error = 5 * math.sqrt(rate * (1 - rate) / count)
    assert abs(np.mean(y == 0) - rate) <= error
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)] if rate else [1], rtol=1e-4)
    assert abs(np.mean(y) - 1) <= error / (1 - rate)
    np.testing.assert_array_equal(tape.gradient(y, x), y)


def test_dropout_sites_do_not_share_masks() -> None:
    masks = [dropout(tf.ones([4000]), 0.5, fold(SEED, site)) > 0 for site in (0, 1, 2, 1 << 16)]
    for number, one in enumerate(masks):
        for other in masks[:number]:
            assert 0.45 < np.mean(one == other) < 0.55


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_float32(policy: str) -> None:
    exact = make_ours(SMALL)
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        for only_cls in (False, True):
            mixed = make_encoder(SMALL, 1, only_cls)
            mixed.set_weights(exact.get_weights())
            assert all(variable.dtype == tf.float32 for variable in mixed.variables)
            model = TextClassifier(mixed, 2, "pooler", 0.1, seed=1)
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(make_features(), training=True, dropout_seed=SEED))
            gradients = tape.gradient(loss, model.trainable_variables)
            assert loss.dtype == tf.float32
            assert all(gradient.dtype == tf.float32 for gradient in gradients)
            pooled = mixed(make_features())["pooled_output"]
            np.testing.assert_allclose(pooled, exact(make_features())["pooled_output"], atol=0.06)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_frozen_layers_run_apart_give_what_they_give_in_the_model(policy: str) -> None:
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        model = TextClassifier(make_encoder(SMALL, 1, only_cls=True), 2, "pooler", 0.1, seed=1)
        set_trainable(model, TrainableConfig(encoder="top_layers", top_layers=1))
        states = model.run_frozen(make_features())
        assert states.dtype == tf.float32
        apart = model({"hidden_states": states, "input_mask": make_features()["input_mask"]})
        np.testing.assert_allclose(apart, model(make_features()), atol=1e-6)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("pooling", [*POOLINGS])
def test_padding_changes_nothing(pooling: str) -> None:
    model = TextClassifier(make_ours(SMALL), 3, pooling, 0.0, seed=1)
    whole = model(make_features())
    padded = model({name: tf.pad(value, [[0, 0], [0, 5]]) for name, value in make_features().items()})
    np.testing.assert_allclose(padded[:, : whole.shape[1]], whole, atol=1e-5)


def test_pooling_reads_tokens_only() -> None:
    sequence = tf.constant([[[1.0], [5.0], [99.0]]])
    outputs = {"sequence_output": sequence, "pooled_output": tf.constant([[7.0]])}
    mask = tf.constant([[1, 1, 0]])
    values = {name: build_pooling(name, 1)(outputs, mask).numpy().ravel().tolist() for name in POOLINGS}
    assert values == {"pooler": [7.0], "cls": [1.0], "mean": [3.0], "max": [5.0], "none": [1.0, 5.0, 99.0]}


@pytest.mark.parametrize("pooling", ["pooler", "mean"])
@pytest.mark.parametrize(
    "config",
    [
        TrainableConfig(),
        TrainableConfig(encoder="frozen"),
        TrainableConfig(encoder="top_layers"),
        TrainableConfig(encoder="top_layers", top_layers=2),
    ],
)
def test_what_trains_is_counted_alike_with_and_without_tensorflow(pooling: str, config: TrainableConfig) -> None:
    model = TextClassifier(make_encoder(SMALL, 1), 2, pooling, 0.1, seed=1)
    counts = set_trainable(model, config)
    assert tuple(counts.values()) == count_trained(SMALL, config, 2, pooling)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(make_features(), training=True, dropout_seed=SEED))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    names = " ".join(variable.name for variable in model.trainable_variables)
    assert ("word_embeddings" in names, "layer_2" in names) == (config.encoder == "full", config.encoder != "frozen")


@pytest.mark.parametrize("only_cls", [False, True])
def test_an_export_holds_query_key_and_value_once_and_joined(tmp_path, only_cls: bool) -> None:
    model = TextClassifier(make_ours(SMALL, only_cls), 2, "cls", 0.1, seed=1)
    task = Classification(("no", "yes"))
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"]
    folder = export_saved_model(
        model, vocab, True, ServingSpec(task, max_length=16, has_pair=False), tmp_path / "model"
    )
    logits = tf.saved_model.load(str(folder)).signatures["ids"](**make_features())["logits"]
    np.testing.assert_allclose(logits, model(make_features()), atol=1e-5)
    shapes = [
        shape for name, shape in tf.train.list_variables(str(folder / "variables/variables")) if "weights/" in name
    ]
    # where [CLS] alone attends no keys and values are projected
    assert shapes.count([32, 96]) == (2 if only_cls else 3)
    assert sum(map(math.prod, shapes)) == sum(math.prod(variable.shape) for variable in model.variables)


def test_joined_attention_lasts_as_long_as_its_context() -> None:
    encoder = make_ours(SMALL)
    before = encoder(make_features())["pooled_output"]
    query, variables = encoder.named_weights["bert/encoder/layer_0/attention/self/query/kernel"], len(encoder.variables)
    with encoder.joined_attention():
        query.assign(-query)
        np.testing.assert_allclose(encoder(make_features())["pooled_output"], before, atol=1e-5)
        assert len(encoder.variables) == variables
    assert np.abs(encoder(make_features())["pooled_output"] - before).max() > 1e-3


def test_replaced_weights_stand_in_by_name_in_training_too() -> None:
    encoder = make_ours(replace(SMALL, hidden_dropout=0.0, attention_dropout=0.0))
    name = "bert/encoder/layer_1/output/dense/kernel"
    update = tf.Variable(tf.zeros([64, 32]))  # as an adapter's
    before = encoder(make_features())["pooled_output"]
    with tf.GradientTape() as tape, encoder.replaced({name: encoder.named_weights[name] + update}):
        loss = tf.reduce_sum(encoder(make_features(), training=True)["pooled_output"])
    assert np.abs(tape.gradient(loss, update)).max() > 1e-3
    np.testing.assert_array_equal(encoder(make_features())["pooled_output"], before)


def test_an_opaque_encoder_need_not_tell_its_width() -> None:
    unknown = tf.function(lambda x: x, input_signature=[tf.TensorSpec(None, tf.float32)])

    class Opaque(tf_keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.table = self.add_weight("table", [100, 8])

        def call(self, inputs):
            states = unknown(tf.gather(self.table, inputs["input_word_ids"]))
            return {"sequence_output": states, "pooled_output": states[:, 0]}

    model = TextClassifier(Encoder(Opaque()), 3, "pooler", 0.1, seed=1)
    assert model.head.dense.kernel.shape == [8, 3]
    logits = tf.function(model, autograph=False)(make_features())
    np.testing.assert_allclose(logits, model(make_features()), atol=1e-6)


def test_a_head_begins_with_glorots_spread():
    """With BERT's own 0.02 a tagger of small data stays nearly ten points behind (docs/parity.md)."""
    kernel = TextClassifier(make_encoder(SMALL, 1), 13, "none", 0.1, seed=1).head.dense.kernel.numpy()
    limit = (6 / sum(kernel.shape)) ** 0.5
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / 3**0.5, rel=0.1)
