"""What a folder of weights says of its tokenizer and its files, without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bertexp.config.schema import ModelConfig
from bertexp.errors import NetworkError, WeightsError
from bertexp.models.source.folders import weight_files
from bertexp.models.source.locate import ModelSource, locate_model
from bertexp.system import downloads

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "müde", "mude"]
CONFIG = {
    "model_type": "bert",
    "vocab_size": 7,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
TOKENIZER = {
    "added_tokens": [{"id": 0, "content": "[PAD]", "special": True}],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece: id for id, piece in enumerate(VOCAB)},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    (folder / "model.safetensors").touch()
    return folder


def locate(folder: Path, **values: Any) -> ModelSource:
    config = ModelConfig(source="huggingface", path=str(folder), **values)
    return locate_model(config, str(folder.parent / "cache"))


def say(folder: Path, config: dict | None = None, tokenizer: dict | None = None) -> None:
    """Writes tokenizer_config.json, and tokenizer.json with another normalizer."""
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if tokenizer is not None:
        normalizer = TOKENIZER["normalizer"] | tokenizer
        (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER | {"normalizer": normalizer}))


@pytest.mark.parametrize(
    ("config", "tokenizer", "settings", "lowercase", "strips"),
    [
        (None, None, {}, True, True),
        ({"do_lower_case": True}, None, {}, True, True),
        ({"do_lower_case": True, "strip_accents": None}, {}, {}, True, True),
        ({"do_lower_case": True, "strip_accents": False}, None, {}, True, False),
        ({"strip_accents": False}, None, {}, True, False),
        (None, {"strip_accents": False}, {}, True, False),
        ({"do_lower_case": True}, {"strip_accents": False}, {}, True, False),
        ({"strip_accents": None}, {"strip_accents": True}, {}, True, True),
        ({"do_lower_case": False, "strip_accents": False}, {"lowercase": False}, {}, False, False),
        (None, {"lowercase": False}, {}, False, False),
        ({"strip_accents": False}, None, {"strip_accents": True}, True, True),
        (None, None, {"strip_accents": False}, True, False),
        (None, None, {"strip_accents": True, "lowercase": False}, False, False),
        ({"do_lower_case": True}, {"lowercase": False}, {"lowercase": True}, True, True),
        ({"strip_accents": None}, {"strip_accents": False}, {"strip_accents": False}, True, False),
        ({"strip_accents": True}, None, {"lowercase": False, "strip_accents": False}, False, False),
    ],
)
def test_texts_are_lower_cased_and_keep_their_accents_as_the_files_say(
    config, tokenizer, settings, lowercase, strips, folder: Path
) -> None:
    say(folder, config, tokenizer)
    source = locate(folder, **settings)
    assert (source.lowercase, source.strip_accents) == (lowercase, strips)


@pytest.mark.parametrize(
    ("config", "tokenizer", "message"),
    [
        (
            {"do_lower_case": True},
            {"lowercase": False},
            r"lowercase is true in tokenizer_config.json and false in tokenizer.json; say with model.lowercase=true or false",
        ),
        (
            {"strip_accents": None},
            {"strip_accents": False},
            r"strip_accents is true in tokenizer_config.json and false in tokenizer.json; say with model.strip_accents=true",
        ),
        ({"do_lower_case": False, "strip_accents": True}, None, "without lower case.*set model.strip_accents=false"),
        ({"do_lower_case": "false"}, None, 'do_lower_case: "false", which is neither true nor false'),
        ({"strip_accents": 0}, None, "strip_accents: 0, which is neither true nor false"),
    ],
)
def test_files_that_contradict_each_other_are_refused_with_the_setting_that_decides(
    config, tokenizer, message, folder: Path
) -> None:
    say(folder, config, tokenizer)
    with pytest.raises(WeightsError, match=message):
        locate(folder)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"tokenize_chinese_chars": False}, "tokenize_chinese_chars: false"),
        ({"do_basic_tokenize": False}, "do_basic_tokenize: false"),
        ({"never_split": ["<e>"]}, "never_split: "),
        ({"word_tokenizer_type": "mecab"}, 'word_tokenizer_type: "mecab"'),
        ({"subword_tokenizer_type": "character"}, 'subword_tokenizer_type: "character"'),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, 'tokenizer_class: "BertJapaneseTokenizer"'),
        ({"cls_token": "<s>"}, 'cls_token: "<s>"'),
        ({"sep_token": {"content": "</s>", "lstrip": False}}, 'sep_token: "</s>"'),
    ],
)
def test_what_the_tokenizer_does_not_do_is_refused_by_name(values: dict, named: str, folder: Path) -> None:
    say(folder, {"do_lower_case": True} | values)
    with pytest.raises(WeightsError, match=rf"tokenizer_config.json has {named}.*only does .*; take other weights"):
        locate(folder)


@pytest.mark.parametrize(
    ("part", "values", "named"),
    [
        ("normalizer", {"handle_chinese_chars": False}, "normalizer.handle_chinese_chars: false"),
        ("normalizer", {"type": "Sequence"}, 'normalizer.type: "Sequence"'),
        ("normalizer", None, "normalizer: null"),
        ("pre_tokenizer", {"type": "Whitespace"}, 'pre_tokenizer.type: "Whitespace"'),
        ("model", {"type": "BPE"}, 'model.type: "BPE"'),
        ("model", {"continuing_subword_prefix": "@@"}, 'model.continuing_subword_prefix: "@@"'),
    ],
)
def test_another_tokenizer_than_berts_is_refused_by_name(part: str, values, named: str, folder: Path) -> None:
    changed = TOKENIZER | {part: TOKENIZER[part] | values if values else None}
    (folder / "tokenizer.json").write_text(json.dumps(changed))
    with pytest.raises(WeightsError, match=f"tokenizer.json has {named}"):
        locate(folder)


def test_a_japanese_model_is_refused_also_where_its_configuration_says_so(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | {"tokenizer_class": "BertJapaneseTokenizer"}))
    with pytest.raises(WeightsError, match=r"/config.json has tokenizer_class"):
        locate(folder)


def test_usual_values_and_other_names_of_the_tokenizer_are_taken(folder: Path) -> None:
    usual = {
        "tokenize_chinese_chars": True,
        "do_basic_tokenize": True,
        "never_split": None,
        "cls_token": {"content": "[CLS]"},
        "tokenizer_class": "DistilBertTokenizerFast",
        "model_max_length": 512,
    }
    say(folder, usual, {})
    assert locate(folder).lowercase is True


def test_other_word_pieces_beside_the_vocabulary_are_refused(folder: Path) -> None:
    say(folder, tokenizer={})
    (folder / "vocab.txt").write_text("\n".join([*VOCAB[:5], "mude", "müde"]), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"differ in 2 word pieces, 'mude' among them.*name with model.vocab_file"):
        locate(folder)
    assert locate(folder, vocab_file=str(folder / "vocab.txt")).lowercase is True


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors.index.json"]
)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "holds no JSON object but list"),
        (b"null", "holds no JSON object but NoneType"),
        (b"{broken", "cannot be read as JSON"),
        (b"", "cannot be read as JSON"),
        (b'{"a": "\xff"}', "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_a_small_file_of_another_form_is_one_sentence(name: str, content: bytes, message: str, folder: Path) -> None:
    (folder / name).write_bytes(content)
    if "index" in name:
        (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=rf"{name} {message}"):
        weight_files(locate(folder).folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", "32"),
        ("num_hidden_layers", None),
        ("num_attention_heads", 0),
        ("vocab_size", 7.5),
        ("intermediate_size", True),
        ("hidden_dropout_prob", "0.1"),
        ("layer_norm_eps", -1),
        ("hidden_act", ["gelu"]),
        ("num_attention_heads", 5),
        ("model_type", ["bert"]),
    ],
)
def test_a_value_of_another_form_is_named(name: str, value, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | {name: value}))
    with pytest.raises(WeightsError, match=r"config.json (has|describes)"):
        locate(folder)


def shard(folder: Path, *names: str, weight_map: Any) -> None:
    (folder / "model.safetensors").unlink()
    for name in names:
        (folder / name).touch()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize("weight_map", [{"a": TWO, "b": ONE, "c": TWO}, {}])
def test_the_shards_of_an_index_are_found(weight_map: dict, folder: Path) -> None:
    shard(folder, ONE, TWO, weight_map=weight_map)
    assert [path.name for path in weight_files(locate(folder).folder)] == [ONE, TWO]


@pytest.mark.parametrize(
    ("names", "weight_map", "message"),
    [
        ([ONE], {"a": ONE, "b": TWO}, f"lacks {TWO}, of which .*; it holds {ONE}"),
        ([ONE], {}, f"lacks a part of its numbered files.*; it holds {ONE}"),
        ([], {}, "it holds none"),
        ([ONE, TWO], ["a"], "has no weight_map"),
        ([ONE, TWO], {"a": 1}, "has no weight_map"),
    ],
)
def test_a_missing_shard_is_named(names, weight_map, message, folder: Path) -> None:
    shard(folder, *names, weight_map=weight_map)
    with pytest.raises(WeightsError, match=message):
        weight_files(locate(folder).folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"])
@pytest.mark.parametrize("path", ["", "file"])
def test_pytorchs_own_files_are_refused_with_the_way_to_convert(name: str, path: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(WeightsError, match=r"PyTorch's form alone; .* python -c \"import .*'model.safetensors'\)\"$"):
        locate(folder / name if path else folder)


def test_what_a_repository_may_lack_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a network then finds all it needs, and one that was killed amid the downloads misses nothing."""
    asked = []

    def fetch(url: str, target: Path) -> None:
        asked.append(target.name)
        if target.name == "tokenizer.json":
            raise NetworkError(f"{url} cannot be fetched: HTTP 404")
        target.parent.mkdir(parents=True, exist_ok=True)
        files = {"config.json": CONFIG, "tokenizer_config.json": {"strip_accents": False}}
        target.write_text(
            json.dumps(files[target.name]) if target.name in files else "\n".join(VOCAB), encoding="utf-8"
        )

    monkeypatch.setattr(downloads, "fetch", fetch)
    config = ModelConfig(source="huggingface", huggingface_repo="org/some-bert")
    for _ in range(2):
        locate_model(config, str(tmp_path)).fetch()
    assert asked == ["tokenizer_config.json", "tokenizer.json", "config.json", "model.safetensors", "vocab.txt"]
    assert locate_model(config, str(tmp_path)).strip_accents is False
