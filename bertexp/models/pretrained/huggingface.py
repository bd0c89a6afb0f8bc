"""Weights from a Hugging Face folder."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bertexp.errors import WeightsError

_DISTILBERT = {  # parts of DistilBERT's layers by BERT's names
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
_LAST = {"weight": "kernel", "bias": "bias", "gamma": "gamma", "beta": "beta"}


def read_weights(folder: str) -> dict[str, np.ndarray]:
    """Reads model.safetensors.

    Returns:
      <float>[...] in Google's shapes and names; what belongs to no BERT encoder keeps its own name.

    Raises:
      WeightsError: the file is broken.
    """
    path = Path(folder, "model.safetensors")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}); fetch it again") from error
    return dict(_translate(name, value) for name, value in tensors.items())


def _translate(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """Turns e.g. bert.encoder.layer.0.output.dense.weight into bert/encoder/layer_0/output/dense/kernel.

    So it does with distilbert.transformer.layer.0.ffn.lin2.weight.
    """
    inner = name.removeprefix("distil").removeprefix("bert.")
    if match := re.fullmatch(r"transformer\.(layer\.\d+)\.(.+)\.(\w+)", inner):
        layer, part, parameter = match.groups()
        inner = f"encoder.{layer}.{_DISTILBERT.get(part, part)}.{parameter}"
    if not inner.startswith(("embeddings.", "encoder.", "pooler.")) or inner.endswith("position_ids"):
        return name, value
    *parts, last = re.sub(r"^encoder\.layer\.(\d+)", r"encoder.layer_\1", inner).split(".")
    if parts[-1] == "LayerNorm":  # files from before 2019 say gamma and beta
        return "/".join(["bert", *parts, {"weight": "gamma", "bias": "beta"}.get(last, last)]), value
    if parts[0] == "embeddings":
        return "/".join(["bert", *parts]), value
    return "/".join(["bert", *parts, _LAST.get(last, last)]), value.T if last == "weight" else value
