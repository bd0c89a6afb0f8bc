"""What the files beside a vocabulary say of its tokenizer: kept to where it can be, else refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertexp.config.schema import ModelConfig
from bertexp.errors import WeightsError
from bertexp.models.source.folders import looks_lowercase, read_json, read_vocab

# Settings whose values are fixed in the tokenizer that trains and is exported, and these values.
_IN_CONFIG: dict[str, Any] = {
    "tokenize_chinese_chars": True,
    "do_basic_tokenize": True,
    "never_split": [],
    "word_tokenizer_type": "basic",  # of BertJapaneseTokenizer: mecab, sudachi, jumanpp
    "subword_tokenizer_type": "wordpiece",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
}
_IN_TOKENIZER: dict[str, dict[str, Any]] = {
    "normalizer": {"type": "BertNormalizer", "handle_chinese_chars": True, "clean_text": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    },
}
_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "PreTrainedTokenizer", "TokenizersBackend")


def read_casing(folder: str, config: ModelConfig) -> tuple[bool, bool]:
    """Whether texts are put into lower case, and whether accents are then taken off.

    Both are as the settings say, else as tokenizer_config.json and tokenizer.json do; else the first is as the vocabulary
    looks and the second as the first.

    Raises:
      WeightsError: the files contradict each other, or ask for what bertexp's tokenizer does not do.
    """
    said = dict(_read_files(Path(folder), config))
    lowercase = config.lowercase
    if lowercase is None:
        lowercase = _agreed(folder, said, "lowercase")
    if lowercase is None:
        lowercase = looks_lowercase(read_vocab(config.vocab_file or f"{folder}/vocab.txt"))
    if config.strip_accents is not None:
        return lowercase, strips_accents(config, lowercase)
    strips = _agreed(folder, said, "strip_accents", null=lowercase)
    if strips and not lowercase:
        raise WeightsError(
            f"{folder} asks for strip_accents: true without lower case, which bertexp's tokenizer does not do; set "
            "model.strip_accents=false if your texts have no accents, or take other weights"
        )
    return lowercase, lowercase if strips is None else strips


def strips_accents(config: ModelConfig, lowercase: bool) -> bool:
    """Whether accents are taken off where no file says so: where texts are put into lower case, unless a setting keeps them."""
    return lowercase and config.strip_accents is not False


def _read_files(folder: Path, config: ModelConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each file that is there, and what it says of lowercase and strip_accents."""
    about = folder / "config.json"
    if about.is_file():
        _check_class(about, read_json(about))
    path = folder / "tokenizer_config.json"
    if path.is_file():
        values = read_json(path)
        _check_class(path, values)
        for name, known in _IN_CONFIG.items():
            found = values.get(name)
            _check_value(
                path, name, found["content"] if isinstance(found, dict) and "content" in found else found, known
            )
        yield path.name, _casing(path, values, "do_lower_case")
    path = folder / "tokenizer.json"
    if path.is_file():
        values = read_json(path)
        for part, settings in _IN_TOKENIZER.items():
            inner = values.get(part, {})
            if not isinstance(inner, dict):
                raise _unknown(path, part, inner, settings["type"])
            for name, known in settings.items():
                _check_value(path, f"{part}.{name}", inner.get(name), known)
        if config.vocab_file is None:
            _check_pieces(path, values.get("model", {}).get("vocab", {}))
        yield path.name, _casing(path, values.get("normalizer", {}), "lowercase")


def _casing(path: Path, values: Mapping[str, Any], lowercase: str) -> dict[str, bool | None]:
    """The two settings as far as they are written there; null stays null."""
    names = {lowercase: "lowercase", "strip_accents": "strip_accents"}
    found = {name: values[name] for name in names if name in values}
    for name, value in found.items():
        if value is not None and not isinstance(value, bool):
            raise WeightsError(f"{path} has {name}: {_shown(value)}, which is neither true nor false; correct it")
    return {names[name]: value for name, value in found.items()}


def _agreed(
    folder: str, said: Mapping[str, Mapping[str, bool | None]], name: str, null: bool | None = None
) -> bool | None:
    """What the files say of a setting, null counted as ``null``; None where none says anything."""
    values = {file: null if there[name] is None else there[name] for file, there in said.items() if name in there}
    different = {file: value for file, value in values.items() if value is not None}
    if len({*different.values()}) > 1:
        both = " and ".join(f"{_shown(value)} in {file}" for file, value in different.items())
        raise WeightsError(
            f"{folder}: {name} is {both}; say with model.{name}=true or false which one the model learned from"
        )
    return next(iter(different.values()), None)


def _check_class(path: Path, values: Mapping[str, Any]) -> None:
    found = values.get("tokenizer_class")
    if found is not None and str(found).removesuffix("Fast") not in _CLASSES:
        raise _unknown(path, "tokenizer_class", found, _CLASSES[0])


def _check_value(path: Path, name: str, found: Any, known: Any) -> None:
    if found is not None and found != known:
        raise _unknown(path, name, found, known)


def _check_pieces(path: Path, there: Any) -> None:
    """Raises WeightsError where tokenizer.json has other word pieces than vocab.txt."""
    pieces = read_vocab(str(path.with_name("vocab.txt")))
    ids = {piece: id for id, piece in enumerate(pieces)}
    if not isinstance(there, dict):
        raise WeightsError(f"{path} has model.vocab: {_shown(there)}, which is no table of word pieces; fetch it again")
    if there and there != ids:
        different = [piece for piece in (*ids, *there) if ids.get(piece) != there.get(piece)]
        raise WeightsError(
            f"{path} and the vocab.txt beside it differ in {len({*different}):,} word pieces, {different[0]!r} among them: "
            "fetch both again, or name with model.vocab_file the vocabulary that the model learned from"
        )


def _unknown(path: Path, name: str, found: Any, known: Any) -> WeightsError:
    return WeightsError(
        f"{path} has {name}: {_shown(found)}, and bertexp's tokenizer only does {_shown(known)}; take other weights, or "
        "write that there if your texts come out the same"
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
