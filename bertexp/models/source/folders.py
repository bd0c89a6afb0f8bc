"""Reads the small files of a folder of weights: sizes, vocabulary, which files hold the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertexp.errors import WeightsError
from bertexp.interfaces import SPECIAL_TOKENS
from bertexp.models.source.architecture import BertArchitecture

WEIGHTS = "model.safetensors"  # of a Hugging Face folder; of a sharded one:
INDEX = f"{WEIGHTS}.index.json"
FILES = {  # what a folder of each kind must hold
    "huggingface": ("config.json", WEIGHTS, "vocab.txt"),
    "google": ("bert_config.json", "*.index", "*.data-*", "vocab.txt"),
    "tfhub": ("saved_model.pb", "variables"),
}
_TO_CONVERT = (  # a command; loading the model instead would make up a pooler where there is none
    "import glob, torch, safetensors.torch; safetensors.torch.save_file({name: tensor.clone().contiguous() for file in "
    "sorted(glob.glob('pytorch_model*.bin')) for name, tensor in torch.load(file, map_location='cpu', "
    "weights_only=True).items()}, 'model.safetensors')"
)
_DISTILBERT = {  # settings of BERT by the names that DistilBERT's config.json gives them
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
_SIZES = {  # whole numbers, by the names of config.json
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
}
_SHARES = {  # numbers from 0 to below 1
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "layer_norm_epsilon": "layer_norm_eps",
}
_NAMED = {"gelu_erf": "gelu_erf", "gelu_tanh": "gelu_tanh", "relu": "relu"}
_ACTIVATIONS = {
    "google": _NAMED | {"gelu": "gelu_tanh"},  # Google's code computes the tanh approximation under that name
    "huggingface": _NAMED | {"gelu": "gelu_erf", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"},
}


def require_files(folder: Path, patterns: Sequence[str]) -> Path:
    """Returns the folder that holds a file for each pattern: this one, or the only folder inside it.

    Raises:
      WeightsError: names what is missing and what is there, and how PyTorch's own files are converted.
    """

    def is_there(pattern: str) -> bool:
        return any(folder.glob(pattern)) or (pattern == WEIGHTS and (folder / INDEX).is_file())

    inside = [path for path in folder.iterdir() if path.is_dir()]
    if len(inside) == 1 and not any(map(is_there, patterns)):
        folder = inside[0]
    missing = [pattern for pattern in patterns if not is_there(pattern)]
    if missing == [WEIGHTS] and any(folder.glob("pytorch_model*.bin")):
        raise WeightsError(
            f"{folder} holds its weights in PyTorch's form alone; where PyTorch and safetensors are installed, this command "
            f'makes {WEIGHTS} of them in that folder: python -c "{_TO_CONVERT}"'
        )
    if missing:
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise WeightsError(f"{folder} lacks {', '.join(missing)}; it holds {there}")
    return folder


def weight_files(folder: str) -> list[Path]:
    """The safetensors files of a Hugging Face folder: one, or the shards that its index names.

    Where the index names none, they are all that are numbered.

    Raises:
      WeightsError: the index is of another form, or a shard is missing.
    """
    whole, index = Path(folder, WEIGHTS), Path(folder, INDEX)
    if whole.is_file():
        return [whole]
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise WeightsError(f"{index} has no weight_map that names the file of each weight; fetch it again")
    files = sorted({Path(folder, Path(name).name) for name in names.values()})
    files = files or sorted(Path(folder).glob("model-*-of-*.safetensors"))
    counted = {int(match[1]) for file in files if (match := re.search(r"-of-(\d+)\.", file.name))}
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files or (counted and counted != {len(files)}):
        there = ", ".join(file.name for file in files if file.is_file()) or "none"
        lacks = ", ".join(missing) or "a part of its numbered files"
        raise WeightsError(f"{folder} lacks {lacks}, of which {INDEX} tells; it holds {there}: fetch it again")
    return files


def read_json(path: Path) -> dict[str, Any]:
    """Reads a small file that holds one JSON object.

    Raises:
      WeightsError: it cannot be read, is no JSON or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(values, dict):
        raise WeightsError(
            f"{path} holds no JSON object but {type(values).__name__} {str(values)[:40]}; fetch it again"
        )
    return values


def read_architecture(folder: str, kind: str) -> BertArchitecture:
    """Reads bert_config.json (google) or config.json (huggingface: of a BERT or a DistilBERT).

    Raises:
      WeightsError: the file is missing, is of neither or has a part that is not known.
    """
    path = Path(folder, "bert_config.json" if kind == "google" else "config.json")
    values: dict[str, Any] = {"layer_norm_eps": 1e-12} | read_json(path)
    kinds = ("bert", "distilbert") if kind == "huggingface" else ("bert",)
    model = values.get("model_type", "bert")
    if model not in kinds:
        raise WeightsError(f"{path} describes a {model} model; only {' and '.join(kinds)} can be loaded from there")
    positions = values.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise WeightsError(f"{path} has {positions} positions; only absolute ones are known")
    try:
        if model == "distilbert":
            values |= {name: values[theirs] for name, theirs in _DISTILBERT.items()} | {"type_vocab_size": 0}
        known, activation = _ACTIVATIONS[kind], str(values["hidden_act"])
        if activation not in known:
            raise WeightsError(f"{path} has the activation {activation!r}; known are {', '.join(known)}")
        sizes: dict[str, Any] = {ours: values[theirs] for ours, theirs in _SIZES.items()}
        shares: dict[str, Any] = {ours: values[theirs] for ours, theirs in _SHARES.items()}
    except KeyError as error:
        raise WeightsError(f"{path} lacks {error}, so it does not describe a BERT") from error
    for ours, size in sizes.items():
        if type(size) is not int or size < (ours != "type_vocab_size"):
            raise WeightsError(f"{path} has {_SIZES[ours]}: {size!r}, which is no size; correct it")
    for ours, share in shares.items():
        if type(share) not in (int, float) or not 0 <= share < 1:
            raise WeightsError(f"{path} has {_SHARES[ours]}: {share!r}, not a number from 0 to 1; correct it")
    if sizes["hidden_size"] % sizes["num_heads"]:
        raise WeightsError(
            f"{path} has hidden_size: {sizes['hidden_size']}, which its {sizes['num_heads']} attention heads cannot share; "
            "fetch it again"
        )
    return BertArchitecture(**sizes, **shares, activation=known[activation], has_pooler=model != "distilbert")


def read_vocab(path: str) -> tuple[str, ...]:
    """Reads one word piece a line.

    Raises:
      WeightsError: it cannot be read as text, or [PAD], [UNK], [CLS] or [SEP] is missing.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except ValueError as error:
        raise WeightsError(f"{path} is no BERT vocabulary: it is no UTF-8 text ({error})") from error
    pieces = tuple(piece.removesuffix("\r") for piece in text.removesuffix("\n").split("\n"))
    missing = [piece for piece in SPECIAL_TOKENS if piece not in pieces]
    if missing:
        raise WeightsError(f"{path} is no BERT vocabulary: it lacks {', '.join(missing)}")
    return pieces


def looks_lowercase(vocab: tuple[str, ...]) -> bool:
    """Whether no word piece of several letters holds a capital: so it is with the vocabulary of an uncased model."""
    words = (piece for piece in vocab if not piece.startswith("[") and len(piece.removeprefix("##")) > 1)
    return all(piece == piece.lower() for piece in words)
