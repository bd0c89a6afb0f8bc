"""Reads the small files of a folder of weights: sizes, vocabulary, casing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bertexp.errors import WeightsError
from bertexp.interfaces import SPECIAL_TOKENS
from bertexp.models.source.architecture import BertArchitecture

FILES = {  # what a folder of each kind must hold
    "huggingface": ("config.json", "model.safetensors", "vocab.txt"),
    "google": ("bert_config.json", "*.index", "*.data-*", "vocab.txt"),
    "tfhub": ("saved_model.pb", "variables"),
}
_DISTILBERT = {  # settings of BERT by the names that DistilBERT's config.json gives them
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
_NAMED = {"gelu_erf": "gelu_erf", "gelu_tanh": "gelu_tanh", "relu": "relu"}
_ACTIVATIONS = {
    "google": _NAMED | {"gelu": "gelu_tanh"},  # Google's code computes the tanh approximation under that name
    "huggingface": _NAMED | {"gelu": "gelu_erf", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"},
}


def require_files(folder: Path, patterns: Sequence[str]) -> Path:
    """Returns the folder that holds a file for each pattern: this one, or the only folder inside it.

    Raises:
      WeightsError: names what is missing and what is there.
    """
    inside = [path for path in folder.iterdir() if path.is_dir()]
    if len(inside) == 1 and not any(any(folder.glob(pattern)) for pattern in patterns):
        folder = inside[0]
    missing = [pattern for pattern in patterns if not any(folder.glob(pattern))]
    if missing:
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise WeightsError(f"{folder} lacks {', '.join(missing)}; it holds {there}")
    return folder


def read_architecture(folder: str, kind: str) -> BertArchitecture:
    """Reads bert_config.json (google) or config.json (huggingface: of a BERT or a DistilBERT).

    Raises:
      WeightsError: the file is missing, is of neither or has a part that is not known.
    """
    path = Path(folder, "bert_config.json" if kind == "google" else "config.json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kinds = ("bert", "distilbert") if kind == "huggingface" else ("bert",)
        model = values.get("model_type", "bert")
        if model not in kinds:
            raise WeightsError(f"{path} describes a {model} model; only {' and '.join(kinds)} can be loaded from there")
        if model == "distilbert":
            values |= {name: values[theirs] for name, theirs in _DISTILBERT.items()} | {"type_vocab_size": 0}
        positions = values.get("position_embedding_type", "absolute")
        if positions != "absolute":
            raise WeightsError(f"{path} has {positions} positions; only absolute ones are known")
        known, activation = _ACTIVATIONS[kind], values["hidden_act"]
        if activation not in known:
            raise WeightsError(f"{path} has the activation {activation!r}; known are {', '.join(known)}")
        return BertArchitecture(
            vocab_size=values["vocab_size"],
            hidden_size=values["hidden_size"],
            num_layers=values["num_hidden_layers"],
            num_heads=values["num_attention_heads"],
            intermediate_size=values["intermediate_size"],
            max_positions=values["max_position_embeddings"],
            type_vocab_size=values["type_vocab_size"],
            activation=known[activation],
            layer_norm_epsilon=values.get("layer_norm_eps", 1e-12),
            hidden_dropout=values["hidden_dropout_prob"],
            attention_dropout=values["attention_probs_dropout_prob"],
            has_pooler=model != "distilbert",
        )
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error})") from error
    except KeyError as error:
        raise WeightsError(f"{path} lacks {error}, so it does not describe a BERT") from error


def read_vocab(path: str) -> tuple[str, ...]:
    """Reads one word piece a line.

    Raises:
      WeightsError: [PAD], [UNK], [CLS] or [SEP] is missing.
    """
    pieces = tuple(Path(path).expanduser().read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    pieces = tuple(piece.removesuffix("\r") for piece in pieces)
    missing = [piece for piece in SPECIAL_TOKENS if piece not in pieces]
    if missing:
        raise WeightsError(f"{path} is no BERT vocabulary: it lacks {', '.join(missing)}")
    return pieces


def looks_lowercase(vocab: tuple[str, ...]) -> bool:
    """Whether no word piece of several letters holds a capital: so it is with the vocabulary of an uncased model."""
    words = (piece for piece in vocab if not piece.startswith("[") and len(piece.removeprefix("##")) > 1)
    return all(piece == piece.lower() for piece in words)


def read_lowercase(folder: str) -> bool:
    """Whether texts are lower-cased: as tokenizer_config.json says, else as the vocabulary looks."""
    path = Path(folder, "tokenizer_config.json")
    if path.is_file():
        said = json.loads(path.read_text(encoding="utf-8")).get("do_lower_case")
        if said is not None:
            return bool(said)
    return looks_lowercase(read_vocab(str(Path(folder, "vocab.txt"))))
