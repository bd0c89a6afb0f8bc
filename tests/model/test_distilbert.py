"""A DistilBERT's Hugging Face folder becomes the project's own encoder: the same hidden states, computed here in NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from bertexp.config.schema import ModelConfig, TrainableConfig
from bertexp.models.pretrained import LoadedEncoder, load_encoder
from bertexp.models.source.locate import count_trained, locate_model
from bertexp.models.text_model import TextClassifier, set_trainable
from bertexp.training.optimizers.adamw import AdamW

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{number}" for number in range(35)]
LAYERS, HIDDEN, HEADS, INNER, POSITIONS = 2, 32, 4, 48, 20
CONFIG = {
    "model_type": "distilbert",
    "vocab_size": len(VOCAB),
    "dim": HIDDEN,
    "n_layers": LAYERS,
    "n_heads": HEADS,
    "hidden_dim": INNER,
    "max_position_embeddings": POSITIONS,
    "activation": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.2,
    "sinusoidal_pos_embds": False,
}
GENERATOR = np.random.default_rng(3)
IDS = GENERATOR.integers(0, len(VOCAB), (3, 9))
MASK = (np.arange(9) < np.array([[9], [6], [4]])).astype(np.int32)
FEATURES = {
    "input_word_ids": tf.constant(IDS, tf.int32),
    "input_mask": tf.constant(MASK),
    "input_type_ids": tf.constant((np.arange(9) > 3) * MASK, tf.int32),  # of a pair: they must change nothing
}


def draw_tensors() -> dict[str, np.ndarray]:
    """Weights of a DistilBERT by Hugging Face's names: [out, in] kernels."""
    shapes = {
        "embeddings.word_embeddings.weight": (len(VOCAB), HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        layer = f"transformer.layer.{number}"
        dense = {f"attention.{name}_lin": (HIDDEN, HIDDEN) for name in ("q", "k", "v", "out")}
        for name, shape in (dense | {"ffn.lin1": (INNER, HIDDEN), "ffn.lin2": (HIDDEN, INNER)}).items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        norms += [f"{layer}.sa_layer_norm", f"{layer}.output_layer_norm"]
    shapes |= {f"{name}.{part}": (HIDDEN,) for name in norms for part in ("weight", "bias")}
    return {name: GENERATOR.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def hidden_states(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """DistilBERT's forward pass (Sanh et al. 2019): <float64>[batch, seq, hidden]."""

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ tensors[f"{name}.weight"].T.astype(np.float64) + tensors[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)

    erf = np.vectorize(math.erf)
    positions = tensors["embeddings.position_embeddings.weight"][: IDS.shape[1]]
    x = norm(tensors["embeddings.word_embeddings.weight"][IDS] + positions, "embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"transformer.layer.{number}"
        query, key, value = (heads(linear(x, f"{layer}.attention.{name}_lin")) for name in "qkv")
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(HIDDEN // HEADS) - 1e9 * (1 - MASK[:, None, None])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        context = (weights / weights.sum(-1, keepdims=True)) @ value
        attended = linear(context.transpose(0, 2, 1, 3).reshape(x.shape), f"{layer}.attention.out_lin")
        x = norm(x + attended, f"{layer}.sa_layer_norm")
        inner = linear(x, f"{layer}.ffn.lin1")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{layer}.ffn.lin2"), f"{layer}.output_layer_norm")
    return x


def write_folder(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    save_file(tensors, folder / "model.safetensors")
    return folder


def load(folder: Path, pooling: str = "mean") -> LoadedEncoder:
    config = ModelConfig(source="huggingface", path=str(folder), pooling=pooling)
    return load_encoder(locate_model(config, str(folder / "cache")), config)


@pytest.mark.parametrize("of_a_masked_language_model", [False, True])
def test_hidden_states_are_distilberts(tmp_path: Path, of_a_masked_language_model: bool) -> None:
    tensors = draw_tensors()
    written = dict(tensors)
    if of_a_masked_language_model:
        written = {f"distilbert.{name}": value for name, value in tensors.items()}
        for name in ("vocab_transform.weight", "vocab_layer_norm.bias", "vocab_projector.weight"):
            written[name] = np.zeros(3, np.float32)
    loaded = load(write_folder(tmp_path / "distilbert", written))
    assert loaded.report["left_over"] == []
    assert len(loaded.report["harmless"]) == (3 if of_a_masked_language_model else 0)
    found = loaded.encoder(FEATURES)["sequence_output"].numpy()
    np.testing.assert_allclose(found * MASK[:, :, None], hidden_states(tensors) * MASK[:, :, None], atol=1e-5)


def test_a_fine_tuned_distilbert_stays_one(tmp_path: Path) -> None:
    """It learns no type embeddings: after a step, the types of a pair still change nothing."""
    loaded = load(write_folder(tmp_path / "distilbert", draw_tensors()), "cls")
    model = TextClassifier(loaded.encoder, 2, "cls", 0.1, seed=1)
    counts = set_trainable(model, TrainableConfig())
    assert tuple(counts.values()) == count_trained(loaded.architecture, TrainableConfig(), 2, "cls")
    before = [variable.numpy() for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(FEATURES, training=True, dropout_seed=tf.constant([1, 2]))))
    gradients = tape.gradient(loss, model.trainable_variables)
    AdamW(1e-2).apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    moved = [
        np.abs(old - new).max() > 0 for old, new in zip(before, model.trainable_variables, strict=True) if old.size
    ]
    assert all(moved)
    alone = FEATURES | {"input_type_ids": tf.zeros_like(FEATURES["input_type_ids"])}
    np.testing.assert_array_equal(model(FEATURES), model(alone))
