"""Where weights are found, without TensorFlow and without a network."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from bertexp.config.schema import ModelConfig, TrainableConfig
from bertexp.errors import ConfigError, WeightsError
from bertexp.models.source.architecture import BertArchitecture
from bertexp.models.source.locate import count_trained, locate_model

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
SMALL = "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-{num_layers}_H-{hidden_size}_A-{num_heads}/1"
PREPROCESS = "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"
CONFIG = {
    "model_type": "bert",
    "vocab_size": 7,
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 512,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-5,
}


@pytest.fixture
def vocab_file(tmp_path: Path) -> str:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCAB) + "\n")
    return str(path)


@pytest.fixture
def huggingface(tmp_path: Path) -> Path:
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture(autouse=True)
def no_shared_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TFHUB_CACHE_DIR", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def small(**values) -> ModelConfig:
    sizes = {"num_layers": 4, "hidden_size": 512, "tfhub_handle": SMALL, "tfhub_preprocess": PREPROCESS}
    return ModelConfig(**{"source": "tfhub", **sizes, **values})


def test_random_weights_take_any_size(vocab_file: str, tmp_path: Path) -> None:
    config = ModelConfig(num_layers=3, hidden_size=192, vocab_file=vocab_file, encoder_dropout=0.2)
    source = locate_model(config, str(tmp_path))
    assert source.architecture == BertArchitecture(7, 192, 3, 3, 768, hidden_dropout=0.2, attention_dropout=0.2)
    assert source.urls == ()
    assert source.lowercase is True


def test_random_weights_may_have_no_type_embeddings(vocab_file: str, tmp_path: Path) -> None:
    config = ModelConfig(num_layers=3, hidden_size=192, vocab_file=vocab_file, type_vocab_size=0)
    assert locate_model(config, str(tmp_path)).architecture == BertArchitecture(7, 192, 3, 3, 768, type_vocab_size=0)
    with pytest.raises(ConfigError, match=r"model.type_vocab_size=1 is not one of 0, 2"):
        ModelConfig(type_vocab_size=1)


def test_a_vocabulary_with_capitals_is_cased(tmp_path: Path) -> None:
    path = tmp_path / "cased.txt"
    path.write_text("\n".join([*VOCAB, "Good"]))
    config = ModelConfig(num_layers=1, hidden_size=64, vocab_file=str(path))
    assert locate_model(config, str(tmp_path)).lowercase is False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_layers": 2}, "needs model.num_layers and model.hidden_size"),
        ({"num_layers": 2, "hidden_size": 100}, "no multiple of 64"),
        ({"num_layers": 2, "hidden_size": 64, "path": "x"}, "is not read with model.source=random"),
        ({"source": "huggingface"}, "needs model.path"),
        ({"source": "google", "google_checkpoint": "https://x/{num_layers}.zip"}, "are needed to name the weights"),
    ],
)
def test_what_a_source_needs_is_said(values: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        locate_model(ModelConfig(**values), str(tmp_path))


def test_a_handle_is_filled_in_and_its_sizes_are_known_before_the_download(tmp_path: Path) -> None:
    source = locate_model(small(hidden_size=256), str(tmp_path))
    assert source.urls == (
        "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-4_H-256_A-4/1?tf-hub-format=compressed",
        "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3?tf-hub-format=compressed",
    )
    assert source.architecture == BertArchitecture(30522, 256, 4, 4, 1024)


def test_sizes_that_were_never_published_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model.num_layers=5 .* model.source=random"):
        locate_model(small(num_layers=5), str(tmp_path))


def test_short_handles_and_other_hosts_are_taken(tmp_path: Path) -> None:
    short = locate_model(small(path="tensorflow/bert_en_uncased_L-4_H-512_A-8/3"), str(tmp_path))
    assert short.urls[0].startswith("https://tfhub.dev/tensorflow/bert_en_uncased_L-4_H-512_A-8/3?")
    mirror = locate_model(small(path="https://mirror.example/m.tar.gz", tfhub_preprocess=None), str(tmp_path))
    assert mirror.urls == ("https://mirror.example/m.tar.gz",)


def test_a_vocabulary_file_replaces_the_preprocessor(vocab_file: str, tmp_path: Path) -> None:
    assert len(locate_model(small(vocab_file=vocab_file), str(tmp_path)).urls) == 1


def test_the_hub_cache_of_tensorflow_hub_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = SMALL.format(num_layers=4, hidden_size=512, num_heads=8)
    for name in (handle, PREPROCESS):
        folder = tmp_path / "hub" / hashlib.sha1(name.encode()).hexdigest()
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    source = locate_model(small(), str(tmp_path / "cache"))
    assert source.urls == ()
    assert Path(source.folder).parent == tmp_path / "hub"


def test_a_saved_model_with_its_own_vocabulary_needs_no_preprocessor(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    for name in ("variables", "assets"):
        (folder / name).mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    assert len(locate_model(small(path=str(folder)), str(tmp_path)).urls) == 1  # the preprocessor
    (folder / "assets" / "vocab.txt").write_text("\n".join(VOCAB))
    assert locate_model(small(path=str(folder)), str(tmp_path)).urls == ()
    archive = tmp_path / "encoder.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, ".")
    source = locate_model(small(path=str(archive)), str(tmp_path / "cache"))
    assert source.urls == ()
    source.fetch()
    assert Path(source.folder, "saved_model.pb").is_file()
    assert locate_model(small(path=str(archive)), str(tmp_path / "cache")).urls == ()


def test_a_huggingface_folder_is_read(huggingface: Path, tmp_path: Path) -> None:
    source = locate_model(ModelConfig(source="huggingface", path=str(huggingface)), str(tmp_path))
    expected = BertArchitecture(7, 128, 3, 2, 512, 64, 2, "gelu_erf", 1e-5)
    assert (source.architecture, source.lowercase, source.urls) == (expected, True, ())
    (huggingface / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert locate_model(ModelConfig(source="huggingface", path=str(huggingface)), str(tmp_path)).lowercase is False


def test_a_distilbert_is_read_and_a_pooling_that_it_has_not_is_refused(huggingface: Path, tmp_path: Path) -> None:
    theirs = {"dim": 128, "n_layers": 3, "n_heads": 2, "hidden_dim": 512, "activation": "gelu", "dropout": 0.1}
    shared = {"model_type": "distilbert", "vocab_size": 7, "max_position_embeddings": 64, "attention_dropout": 0.2}
    (huggingface / "config.json").write_text(json.dumps(theirs | shared))
    found = locate_model(ModelConfig(source="huggingface", path=str(huggingface), pooling="cls"), str(tmp_path))
    expected = BertArchitecture(7, 128, 3, 2, 512, 64, 0, "gelu_erf", 1e-12, 0.1, 0.2, has_pooler=False)
    assert found.architecture == expected
    with pytest.raises(WeightsError, match=r"hf has no pooler.*choose model.pooling=cls, mean or max"):
        locate_model(ModelConfig(source="huggingface", path=str(huggingface), pooling="pooler"), str(tmp_path))
    (huggingface / "config.json").write_text(json.dumps(shared))
    with pytest.raises(WeightsError, match="lacks 'dim'"):
        locate_model(ModelConfig(source="huggingface", path=str(huggingface)), str(tmp_path))


def test_other_sizes_than_the_source_has_are_refused_with_both_figures(huggingface: Path, tmp_path: Path) -> None:
    config = ModelConfig(source="huggingface", path=str(huggingface), num_layers=4)
    with pytest.raises(WeightsError, match=r"model.num_layers=4, but .*hf has 3: set model.num_layers=3"):
        locate_model(config, str(tmp_path))


def test_missing_files_are_named_beside_those_that_are_there(huggingface: Path, tmp_path: Path) -> None:
    (huggingface / "model.safetensors").rename(huggingface / "flax_model.msgpack")
    with pytest.raises(WeightsError, match=r"lacks model.safetensors; it holds config.json, flax_model.msgpack, vocab"):
        locate_model(ModelConfig(source="huggingface", path=str(huggingface)), str(tmp_path))
    with pytest.raises(WeightsError, match="does not exist"):
        locate_model(ModelConfig(source="huggingface", path=str(huggingface / "none")), str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "describes a roberta model"),
        ({"hidden_act": "silu"}, "the activation 'silu'"),
        ({"position_embedding_type": "relative_key"}, "relative_key positions"),
    ],
)
def test_what_is_no_bert_is_refused(change: dict, message: str, huggingface: Path, tmp_path: Path) -> None:
    (huggingface / "config.json").write_text(json.dumps(CONFIG | change))
    with pytest.raises(WeightsError, match=message):
        locate_model(ModelConfig(source="huggingface", path=str(huggingface)), str(tmp_path))


def test_a_huggingface_repository_is_addressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModelConfig(source="huggingface", huggingface_repo="org/some-bert")
    assert locate_model(config, str(tmp_path)).urls == tuple(
        f"https://huggingface.co/org/some-bert/resolve/main/{name}"
        for name in ("config.json", "model.safetensors", "vocab.txt")
    )
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert locate_model(config, str(tmp_path)).urls[0].startswith("https://mirror.example/org/some-bert/resolve/")


def test_a_google_checkpoint_is_found_in_a_folder_an_archive_and_by_address(tmp_path: Path) -> None:
    folder = tmp_path / "uncased" / "inside"
    folder.mkdir(parents=True)
    (folder / "bert_config.json").write_text(json.dumps(CONFIG))
    for name in ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"):
        (folder / name).write_bytes(b"")
    (folder / "vocab.txt").write_text("\n".join(VOCAB))
    source = locate_model(ModelConfig(source="google", path=str(folder.parent)), str(tmp_path))
    assert source.folder == str(folder)
    assert source.architecture.activation == "gelu_tanh"
    archive = tmp_path / "uncased.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "inside")
    packed = ModelConfig(source="google", path=str(archive))
    source = locate_model(packed, str(tmp_path / "cache"))
    source.fetch()
    assert locate_model(packed, str(tmp_path / "cache")).architecture.num_layers == 3
    bucket = locate_model(ModelConfig(source="google", path="gs://b/uncased_L-2_H-128_A-2.zip"), str(tmp_path))
    assert bucket.urls == ("gs://b/uncased_L-2_H-128_A-2.zip",)
    assert bucket.architecture.num_layers == 2


def test_trained_parameters_are_counted_without_tensorflow() -> None:
    base = BertArchitecture(30522, 768, 12, 12, 3072)
    assert count_trained(base, TrainableConfig(), 1, "pooler") == (109_482_240 + 769, 0)
    assert count_trained(base, TrainableConfig(encoder="frozen"), 1, "pooler") == (769, 109_482_240)
    with pytest.raises(ConfigError, match="the encoder has 12 layers"):
        count_trained(base, TrainableConfig(encoder="top_layers", top_layers=13), 1, "pooler")
