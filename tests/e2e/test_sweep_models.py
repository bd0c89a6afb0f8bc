"""A sweep over models that lie unpacked nowhere yet: each trial fetches its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from shell import bertexp

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "aeinorst")]


def pack_bert(folder: Path, layers: int, hidden: int = 8, inner: int = 16, positions: int = 32) -> Path:
    """A Hugging Face folder of random weights as an archive; the folder is gone afterwards."""
    shapes = {
        "embeddings.word_embeddings.weight": (len(PIECES), hidden),
        "embeddings.position_embeddings.weight": (positions, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm": (hidden,),
        "pooler.dense": (hidden, hidden),
    }
    for layer in range(layers):
        attention = ("self.query", "self.key", "self.value", "output.dense")
        shapes |= {f"encoder.layer.{layer}.attention.{name}": (hidden, hidden) for name in attention}
        shapes |= {f"encoder.layer.{layer}.{name}LayerNorm": (hidden,) for name in ("attention.output.", "output.")}
        shapes[f"encoder.layer.{layer}.intermediate.dense"] = (inner, hidden)
        shapes[f"encoder.layer.{layer}.output.dense"] = (hidden, inner)
    chance, tensors = np.random.default_rng(layers), {}
    for name, shape in shapes.items():
        if name.endswith("weight"):
            tensors[name] = chance.normal(0, 0.02, shape).astype(np.float32)
        else:
            tensors[f"{name}.weight"] = chance.normal(0, 0.02, shape).astype(np.float32)
            tensors[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": 1, "intermediate_size": inner}
    sizes |= {"vocab_size": len(PIECES), "max_position_embeddings": positions, "type_vocab_size": 2}
    rest = {"model_type": "bert", "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(sizes | rest))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    save_file({f"bert.{name}": value for name, value in tensors.items()}, folder / "model.safetensors")
    archive = shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)
    return Path(archive)


def test_every_trial_fetches_and_unpacks_its_own_model(tmp_path):
    pack_bert(tmp_path / "one", layers=1)
    pack_bert(tmp_path / "two", layers=2)
    ended = bertexp("-m", "model=custom", "model.path=one.zip,two.zip", "dataset=reviews", "dataset.max_length=32",
                    "dataset.limit_train=32", "dataset.limit_val=16", "dataset.limit_test=16", "trainer.max_epochs=1",
                    "sweep.export=none", "tracking=none", "sweep.name=models", cwd=tmp_path)  # fmt: skip
    assert ended.status == 0, ended.err + ended.out
    runs = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("outputs/sweeps/models/trial-*/run.json"))]
    assert [(run["parameters"]["model.path"], run["state"]) for run in runs] == [
        ("one.zip", "completed"),
        ("two.zip", "completed"),
    ]
