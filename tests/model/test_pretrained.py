"""Weights of every published form arrive whole: outputs equal those of the encoder that was written."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import published
import pytest
import tensorflow as tf
import tf_keras
from safetensors.numpy import load_file, save_file

from bertexp.config.resolve import compose_config
from bertexp.config.schema import ModelConfig, TrainableConfig
from bertexp.errors import ConfigError, WeightsError
from bertexp.models.encoder import Encoder, make_encoder
from bertexp.models.pretrained import LoadedEncoder, load_encoder
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.locate import locate_model
from bertexp.models.text_model import TextClassifier, set_trainable
from bertexp.runs.plan import make_plan
from bertexp.runs.stages.parts import build_parts

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "##ly"] + [f"w{number}" for number in range(40)]
ARCHITECTURE = BertArchitecture(48, 32, 2, 4, 64, max_positions=20)
GENERATOR = np.random.default_rng(1)
FEATURES = {
    "input_word_ids": tf.constant(GENERATOR.integers(0, 48, (3, 9)), tf.int32),
    "input_mask": tf.constant(np.arange(9) < np.array([[9], [6], [4]]), tf.int32),
    "input_type_ids": tf.constant(np.arange(9) > np.array([[4], [3], [9]]), tf.int32),
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    encoder = make_encoder(ARCHITECTURE, seed=1)
    for number, variable in enumerate(encoder.variables):
        variable.assign_add(0.1 * tf.random.stateless_normal(variable.shape, [5, number]))
    return encoder


@pytest.fixture(scope="module")
def hub_folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    published.write_tfhub(folder, encoder, ARCHITECTURE, VOCAB)
    return folder


def load(source: str, path: Path, tmp_path: Path, **values) -> LoadedEncoder:
    config = ModelConfig(**{"source": source, "path": str(path), "pooling": "mean", **values})
    located = locate_model(config, str(tmp_path / "cache"))
    located.fetch()
    return load_encoder(located, config)


def largest_difference(one, other, features=FEATURES) -> float:
    """Of sequence outputs at tokens, and of pooled outputs."""
    ours, theirs = one(features), other(features) if callable(other) else other
    tokens = np.asarray(features["input_mask"])[:, :, None]
    in_sequence = np.abs((ours["sequence_output"] - theirs["sequence_output"]) * tokens).max()
    return float(max(in_sequence, np.abs(ours["pooled_output"] - theirs["pooled_output"]).max()))


@pytest.mark.parametrize("form", [{}, {"prefix": ""}, {"old_norms": True, "extra": ("cls.predictions.bias",)}])
def test_huggingface_folders_with_and_without_prefix(form: dict, encoder: Encoder, tmp_path: Path) -> None:
    erf = replace(ARCHITECTURE, activation="gelu_erf", layer_norm_epsilon=1e-3)
    written = make_encoder(erf, 1)
    written.set_weights(encoder.get_weights())
    published.write_huggingface(tmp_path / "hf", written, erf, VOCAB, **form)
    loaded = load("huggingface", tmp_path / "hf", tmp_path)
    assert largest_difference(loaded.encoder, written) < 1e-6
    assert loaded.architecture == erf
    assert loaded.vocab == tuple(VOCAB)
    assert loaded.report["matched"] == loaded.report["variables"] == 39
    assert loaded.report["harmless"] == list(form.get("extra", ()))
    assert loaded.report["left_over"] == []


def test_tf1_checkpoints_account_for_every_variable(encoder: Encoder, tmp_path: Path) -> None:
    harmless = ("bert/pooler/dense/kernel/adam_m", "cls/predictions/output_bias", "global_step")
    published.write_tf1(tmp_path / "tf1", encoder, ARCHITECTURE, VOCAB, extra=(*harmless, "output_weights"))
    loaded = load("google", tmp_path / "tf1", tmp_path)
    assert largest_difference(loaded.encoder, encoder) < 1e-6
    assert loaded.report == {
        "matched": 39,
        "variables": 39,
        "harmless": list(harmless),
        "left_over": ["output_weights"],
    }


def test_missing_variables_are_named(encoder: Encoder, tmp_path: Path) -> None:
    lost = "bert/encoder/layer_1/output/dense/bias"
    published.write_tf1(tmp_path / "tf1", encoder, ARCHITECTURE, VOCAB, without=(lost,))
    with pytest.raises(WeightsError, match=f"lacks 1 of 39 weights of this BERT: {lost}"):
        load("google", tmp_path / "tf1", tmp_path)


def test_a_missing_pooler_matters_where_it_is_read(encoder: Encoder, tmp_path: Path) -> None:
    published.write_huggingface(tmp_path / "hf", encoder, ARCHITECTURE, VOCAB)
    path = tmp_path / "hf" / "model.safetensors"
    save_file({name: value for name, value in load_file(path).items() if "pooler" not in name}, path)
    assert load("huggingface", tmp_path / "hf", tmp_path, pooling="cls").report["matched"] == 37
    with pytest.raises(WeightsError, match=r"has no pooler .* choose model.pooling=cls, mean or max"):
        load("huggingface", tmp_path / "hf", tmp_path, pooling="pooler")


def test_shards_are_read_as_the_whole_file_is(encoder: Encoder, tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    published.write_huggingface(folder, encoder, ARCHITECTURE, VOCAB)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    weight_map = {weight: names[number % 3] for number, weight in enumerate(tensors)}
    for name in names:
        save_file({weight: tensors[weight] for weight, file in weight_map.items() if file == name}, folder / name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    loaded = load("huggingface", folder, tmp_path)
    assert largest_difference(loaded.encoder, encoder) < 1e-6
    assert (loaded.report["matched"], loaded.report["left_over"]) == (39, [])
    save_file(tensors, folder / names[2])
    with pytest.raises(WeightsError, match=r"-00003-of-00003.safetensors holds .* once more than another shard"):
        load("huggingface", folder, tmp_path)


def test_weights_of_another_shape_and_broken_files_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    published.write_huggingface(folder, encoder, ARCHITECTURE, VOCAB)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"intermediate_size": 64', '"intermediate_size": 128'))
    with pytest.raises(WeightsError, match=r"intermediate/dense/kernel of shape \(32, 64\)"):
        load("huggingface", folder, tmp_path)
    (folder / "model.safetensors").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        load("huggingface", folder, tmp_path)
    (folder / "vocab.txt").write_text("good\nbad\n")
    with pytest.raises(WeightsError, match=r"lacks \[PAD\]"):
        load("huggingface", folder, tmp_path)


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("root", ["encoder", "model", "bert_encoder"])
def test_tf2_checkpoints_of_both_encoder_classes(root: str, functional: bool, encoder: Encoder, tmp_path: Path) -> None:
    published.write_tf2(tmp_path / "tf2", encoder, ARCHITECTURE, VOCAB, root, functional)
    loaded = load("google", tmp_path / "tf2", tmp_path)
    assert largest_difference(loaded.encoder, encoder) < 1e-6
    assert (loaded.report["matched"], loaded.report["left_over"]) == (39, [])


def test_a_pretrainers_checkpoint_gives_its_encoder_whatever_else_shares_its_variables(encoder, tmp_path: Path) -> None:
    published.write_small_files(tmp_path, ARCHITECTURE, VOCAB, "google")
    table, optimizer = encoder.named_weights["bert/embeddings/word_embeddings"], tf_keras.optimizers.Adam()
    optimizer.build(encoder.variables)
    head = tf.train.Checkpoint(embedding_table=table, bias=tf.Variable(tf.zeros([48]), name="cls/predictions/bias"))
    checkpoint = tf.train.Checkpoint(masked_lm=head, model=tf.train.Checkpoint(net=encoder), optimizer=optimizer)
    checkpoint.save(str(tmp_path / "bert_model.ckpt"))
    loaded = load("google", tmp_path, tmp_path)
    assert largest_difference(loaded.encoder, encoder) < 1e-6
    assert (loaded.report["matched"], loaded.report["left_over"]) == (39, [])


def test_a_hub_bert_becomes_native_and_proves_it(encoder: Encoder, hub_folder: Path, tmp_path: Path) -> None:
    preprocess = str(hub_folder / "preprocess")
    loaded = load("tfhub", hub_folder / "encoder", tmp_path, pooling="pooler", tfhub_preprocess=preprocess)
    assert loaded.encoder.fallback is None
    assert loaded.encoder.only_cls
    loaded.encoder.only_cls = False
    assert largest_difference(loaded.encoder, encoder) < 1e-6
    assert loaded.report["matched"] == 39
    assert loaded.report["max_difference"] < 1e-4
    assert loaded.architecture == ARCHITECTURE
    assert (loaded.vocab, loaded.lowercase) == (tuple(VOCAB), True)
    alone = load("tfhub", hub_folder / "encoder", tmp_path)
    assert (alone.vocab, alone.lowercase) == (tuple(VOCAB), True)
    with pytest.raises(WeightsError, match=r"model.num_layers=3, but .* has 2"):
        load("tfhub", hub_folder / "encoder", tmp_path, num_layers=3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_hub_bert_is_compared_in_float32_whatever_precision_it_trains_in(
    policy, encoder, hub_folder, tmp_path
) -> None:
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        loaded = load("tfhub", hub_folder / "encoder", tmp_path)
        assert loaded.encoder.compute_dtype == policy.removeprefix("mixed_")
        rounded = largest_difference(loaded.encoder, encoder)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert loaded.encoder.fallback is None
    assert loaded.report["max_difference"] < 1e-4 < rounded


def test_the_older_list_form_becomes_native_too(encoder: Encoder, tmp_path: Path) -> None:
    published.write_list_form(tmp_path / "old", encoder, ARCHITECTURE, VOCAB)
    loaded = load("tfhub", tmp_path / "old", tmp_path)
    assert loaded.encoder.fallback is None
    assert largest_difference(loaded.encoder, encoder) < 1e-6
    assert loaded.lowercase is False  # as its do_lower_case says


def make_other_encoder(trainable: bool = True, positions: int | None = None) -> tf.train.Checkpoint:
    """An encoder of another architecture, in the form that TF-Hub asks for; without ``positions`` texts may have any length."""
    other = tf.train.Checkpoint()
    other.table = tf.Variable(tf.random.stateless_normal([48, 8], [0, 1]), name="table")
    other.variables = [other.table]
    other.trainable_variables = [other.table] if trainable else []

    @tf.function(input_signature=[{name: tf.TensorSpec([None, None], tf.int32, name) for name in FEATURES}])
    def call(inputs):
        sequence = tf.gather(other.table, inputs["input_word_ids"])
        if positions is not None:
            sequence += tf.zeros([positions, 8])[: tf.shape(sequence)[1]]
        return {"sequence_output": sequence, "pooled_output": tf.tanh(sequence[:, 0]), "default": sequence[:, 0]}

    other.__call__ = call
    return other


def test_any_other_encoder_stays_an_opaque_layer_that_trains(tmp_path: Path) -> None:
    other = make_other_encoder()
    tf.saved_model.save(other, str(tmp_path / "other"))
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB))
    loaded = load("tfhub", tmp_path / "other", tmp_path, vocab_file=str(tmp_path / "vocab.txt"))
    assert loaded.architecture is None
    assert "variables that no BERT has (table); its dropout is its own and does" in loaded.encoder.fallback
    np.testing.assert_allclose(loaded.encoder(FEATURES)["pooled_output"], other.__call__(FEATURES)["pooled_output"])
    model = TextClassifier(loaded.encoder, 2, "mean", 0.1, seed=1)
    assert set_trainable(model, TrainableConfig()) == {"trained": 48 * 8 + 18, "frozen": 0}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(FEATURES, training=True, dropout_seed=tf.constant([1, 2])))
    assert None not in tape.gradient(loss, model.trainable_variables)
    assert set_trainable(model, TrainableConfig(encoder="frozen")) == {"trained": 18, "frozen": 48 * 8}
    with pytest.raises(ConfigError, match="choose trainable=full or trainable=frozen"):
        set_trainable(model, TrainableConfig(encoder="top_layers"))
    tf.saved_model.save(make_other_encoder(trainable=False), str(tmp_path / "fixed"))
    loaded = load("tfhub", tmp_path / "fixed", tmp_path, vocab_file=str(tmp_path / "vocab.txt"))
    with pytest.raises(ConfigError, match="has no trainable variables"):
        set_trainable(TextClassifier(loaded.encoder, 2, "mean", 0.1, seed=1), TrainableConfig())
    with pytest.raises(WeightsError, match=r"give model.vocab_file"):
        load("tfhub", tmp_path / "other", tmp_path)


@pytest.mark.parametrize(("positions", "longest"), [(20, 20), (2, 2), (40, None), (None, None)])
def test_an_opaque_encoder_takes_no_longer_texts_than_it_can(positions, longest, tmp_path: Path) -> None:
    tf.saved_model.save(make_other_encoder(positions=positions), str(tmp_path / "other"))
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB))
    words = [
        "model=custom",
        "model.source=tfhub",
        f"model.path={tmp_path}/other",
        f"model.vocab_file={tmp_path}/vocab.txt",
    ]
    config, _ = compose_config(
        [*words, "dataset.max_length=40", "dataset.limit_train=8", f"run.outputs_dir={tmp_path}", "model.pooling=cls"]
    )
    plan = make_plan(config)
    refused = pytest.raises(ConfigError, match=f"has {longest} positions: give dataset.max_length={longest} or less")
    with refused if longest else contextlib.nullcontext():
        build_parts(config, plan, plan.dataset.load())


def test_a_saved_model_of_something_else_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.__call__ = tf.function(lambda text: text, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "text"))
    with pytest.raises(WeightsError, match="is no encoder of word ids"):
        load("tfhub", tmp_path / "text", tmp_path)


@pytest.fixture(scope="module")
def shared() -> Path:
    if "BERTEXP_SHARED" not in os.environ:
        pytest.skip("BERTEXP_SHARED names no folder with real weights")
    return Path(os.environ["BERTEXP_SHARED"])


def reference_difference(encoder, shared: Path) -> float:
    """Largest difference from what Hugging Face transformers computes with MiniLM, single texts and pairs."""
    reference = np.load(shared / "reference" / "minilm_l6_hf.npz")
    differences = []
    for kind in ("single_", "pair_"):
        features = {name: tf.constant(reference[kind + name], tf.int32) for name in FEATURES}
        outputs = {name: reference[kind + name] for name in ("sequence_output", "pooled_output")}
        differences.append(largest_difference(encoder, outputs, features))
    print(f"single {differences[0]:.1e}, pairs {differences[1]:.1e}")
    return max(differences)


@pytest.mark.real
@pytest.mark.parametrize("form", ["huggingface", "tf1", "tf2", "tf2_functional", "tfhub", "tfhub_list"])
def test_minilm_equals_hugging_face_in_every_form(form: str, shared: Path, tmp_path: Path) -> None:
    original = load("huggingface", shared / "weights" / "minilm_l6", tmp_path)
    given = (tmp_path / form, original.encoder, original.architecture, list(original.vocab))
    if form == "huggingface":
        loaded = original
    elif form == "tf1":
        published.write_tf1(*given)
        loaded = load("google", tmp_path / form, tmp_path)
    elif form.startswith("tf2"):
        published.write_tf2(*given, functional=form == "tf2_functional")
        loaded = load("google", tmp_path / form, tmp_path)
    elif form == "tfhub":
        published.write_tfhub(*given)
        preprocess = str(tmp_path / form / "preprocess")
        loaded = load("tfhub", tmp_path / form / "encoder", tmp_path, tfhub_preprocess=preprocess)
    else:
        published.write_list_form(*given)
        loaded = load("tfhub", tmp_path / form, tmp_path)
    assert loaded.encoder.fallback is None
    assert loaded.vocab == original.vocab
    assert reference_difference(loaded.encoder, shared) < 1e-4
